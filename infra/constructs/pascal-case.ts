/** `manage-places` -> `ManagePlaces`: the construct id of what a function's name stands for. */
export function pascalCase(name: string): string {
  return name.replace(/(^|-)([a-z])/g, (_, _dash, letter: string) => letter.toUpperCase());
}
