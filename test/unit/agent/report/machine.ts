import type { System } from '../../../../agent/report/system.ts';

/** A machine that does not exist: its files by path, and what its programs print (by command line). */
export interface ImaginedMachine {
  readonly files?: Readonly<Record<string, string>>;
  readonly links?: Readonly<Record<string, string>>;
  readonly changed?: Readonly<Record<string, number>>;
  readonly programs?: Readonly<Record<string, { code?: number; text?: string }>>;
}

/** A `System` that shows an imagined machine. Folders are what the paths of its files imply. */
export function imagine({
  files = {},
  links = {},
  changed = {},
  programs = {},
}: ImaginedMachine): System & { readonly ran: string[]; readonly inputs: string[] } {
  const ran: string[] = [];
  const inputs: string[] = [];
  return {
    ran,
    inputs,
    text: (path) => files[path],
    end: (path) => files[path],
    bytes: (path) => (files[path] === undefined ? undefined : Buffer.from(files[path], 'latin1')),
    list(path) {
      const below = [...Object.keys(files), ...Object.keys(links)].filter((file) => file.startsWith(`${path}/`));
      const names = [...new Set(below.map((file) => file.slice(path.length + 1).split('/')[0] ?? ''))].sort();
      return names.length === 0 ? undefined : names;
    },
    real: (path) => links[path] ?? path,
    link: (path) => links[path],
    changed: (path) => changed[path],
    async run(program, args, _timeout, input) {
      const line = [program, ...args].join(' ');
      ran.push(line);
      if (input !== undefined) inputs.push(input);
      const found = Object.entries(programs).find(([begin]) => line === begin || line.startsWith(`${begin} `));
      return found === undefined ? undefined : { code: found[1].code ?? 0, text: found[1].text ?? '' };
    },
    addresses: () => ({}),
  };
}
