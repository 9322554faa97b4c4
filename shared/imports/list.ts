import type { Cells } from './row.ts';

export type { Cells } from './row.ts';

/** A row of a list, before its values are understood. */
export interface Row {
  /** For CSV the line in the file (of the row's end), for JSON the position in the list, from 1. */
  readonly line: number;
  readonly cells: Cells;
}

/** A cell on one line: people break long names over several. */
export function oneLine(cell: string): string {
  // Not by one expression with blanks around the breaks: a cell of blanks would take it quadratic time.
  const parts = cell.split(/[\t\n\r]+/).map((part) => part.trim());
  return parts.filter((part) => part !== '').join(' ');
}

/** The list cannot be read any further. The message is for whoever uploaded it. */
export class ListError extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'ListError';
  }
}
