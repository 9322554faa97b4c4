const lineLength = 64;

/** DER as PEM (RFC 7468): `label` is e.g. `CERTIFICATE`; ends with a line break. */
export function pemOf(label: string, der: Uint8Array): string {
  return `-----BEGIN ${label}-----\n${wrappedBase64(der)}\n-----END ${label}-----\n`;
}

/** Base64 in lines of 64 characters, which every tool reads (`openssl base64 -d` wants line breaks). */
export function wrappedBase64(bytes: Uint8Array): string {
  return (
    Buffer.from(bytes)
      .toString('base64')
      .match(new RegExp(`.{1,${lineLength}}`, 'g')) ?? []
  ).join('\n');
}

/** The DER of each PEM block with this label, in order. Text around the blocks is ignored, as RFC 7468 allows. */
export function pemBlocks(label: string, text: string): Uint8Array[] {
  const block = new RegExp(`-----BEGIN ${label}-----([A-Za-z0-9+/=\\s]*)-----END ${label}-----`, 'g');
  return [...text.matchAll(block)].map((match) => new Uint8Array(Buffer.from(match[1] ?? '', 'base64')));
}
