/**
 * A setting of the function's environment. The template sets it, so a missing one is a mistake in the template and
 * stops the function at its start, not at the first request.
 */
export function requiredEnvironment(name: string): string {
  const value = process.env[name];
  if (value === undefined || value === '') throw new Error(`The environment variable ${name} is not set.`);
  return value;
}
