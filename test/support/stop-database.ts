/** Ends what `start-database.ts` started; jest runs both in the same process. */
export default async function stopDatabase(): Promise<void> {
  const { stopTestDatabase } = globalThis as { stopTestDatabase?: () => Promise<void> };
  await stopTestDatabase?.();
}
