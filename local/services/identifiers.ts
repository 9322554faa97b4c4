import { createHash } from 'node:crypto';

/** A UUID that is always the same for the same text, so that a template gives the same ids at every start. */
export const stableUuid = (text: string): string => {
  const hex = createHash('sha256').update(text).digest('hex');
  const variant = ((Number.parseInt(hex.slice(16, 17), 16) & 0x3) | 0x8).toString(16);
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-4${hex.slice(13, 16)}-${variant}${hex.slice(17, 20)}-${hex.slice(20, 32)}`;
};

/** The last part of an ARN's resource, e.g. a queue's name; other text is returned as it is. */
export const nameOfArn = (arnOrName: string): string =>
  arnOrName.startsWith('arn:')
    ? (arnOrName.split(':').slice(5).join(':').split('/').at(-1)?.split(':').at(-1) ?? arnOrName)
    : arnOrName;

/** The third field of an ARN. */
export const serviceOfArn = (arn: string): string => arn.split(':')[2] ?? '';
