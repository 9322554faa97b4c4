/**
 * Size of an item as DynamoDB counts it, bytes: names and text in UTF-8, a byte for each two digits of a number and one
 * more, 3 bytes for a list or map and 1 for each of its members
 * (https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/CapacityUnitCalculations.html).
 *
 * @param item as the document client reads it; undefined has no bytes
 */
export const itemBytes = (item: Readonly<Record<string, unknown>> | undefined): number =>
  Object.entries(item ?? {}).reduce((sum, [name, value]) => sum + Buffer.byteLength(name) + valueBytes(value), 0);

function valueBytes(value: unknown): number {
  if (typeof value === 'string') return Buffer.byteLength(value);
  if (typeof value === 'number') return Math.ceil(String(Math.abs(value)).replace('.', '').length / 2) + 1;
  if (value instanceof Uint8Array) return value.byteLength;
  if (value instanceof Set) return [...value].reduce((sum: number, member) => sum + valueBytes(member), 0);
  if (Array.isArray(value)) return value.reduce((sum: number, member) => sum + 1 + valueBytes(member), 3);
  if (typeof value === 'object' && value !== null) {
    return Object.entries(value).reduce(
      (sum, [name, member]) => sum + 1 + Buffer.byteLength(name) + valueBytes(member),
      3,
    );
  }
  return 1;
}
