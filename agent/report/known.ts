/** What a machine says of a fact that it cannot find out. It never stands for "no". */
export const UNKNOWN = 'unknown';
