/** An error of a task, by the names that `Retry` and `Catch` match. */
export class TaskError extends Error {
  /** The library asks for it. */
  readonly isCatchable: boolean;

  constructor(name: string, cause: string, isCatchable = true) {
    super(cause);
    this.name = name;
    this.isCatchable = isCatchable;
  }
}

/** The execution is stopped or the local cloud ends: the task has no outcome. */
export class TaskAborted extends Error {
  readonly isCatchable = false;

  constructor() {
    super('The execution has been aborted');
    this.name = 'TaskAborted';
  }
}
