import { Readable } from 'node:stream';
import { GetObjectCommand, NoSuchKey, PutObjectCommand, S3Client } from '@aws-sdk/client-s3';
import { SendMessageCommand, SQSClient } from '@aws-sdk/client-sqs';
import { mockClient } from 'aws-sdk-client-mock';

/** S3 and SQS in memory, as far as imports use them. */
export interface ImportCloud {
  readonly objects: Map<string, Buffer>;
  /** Bodies of the messages that wait. */
  readonly messages: string[];
  stop(): void;
}

/** Puts every S3 and SQS client of this process in front of memory. */
export function startImportCloud(): ImportCloud {
  const objects = new Map<string, Buffer>();
  const messages: string[] = [];
  const s3 = mockClient(S3Client);
  const sqs = mockClient(SQSClient);
  s3.on(PutObjectCommand).callsFake(async ({ Key, Body }: { Key: string; Body: string | Uint8Array }) => {
    objects.set(Key, Buffer.from(Body as Uint8Array));
    return {};
  });
  // The SDK's body is a stream with a few methods more; the one that is used is here.
  s3.on(GetObjectCommand).callsFake(async ({ Key }: { Key: string }) => {
    const found = objects.get(Key);
    if (found === undefined) throw new NoSuchKey({ message: 'no such key', $metadata: {} });
    const Body = Readable.from(pieces(found), { objectMode: false });
    return { Body: Object.assign(Body, { transformToString: async () => found.toString('utf8') }) };
  });
  sqs.on(SendMessageCommand).callsFake(async ({ MessageBody }: { MessageBody: string }) => {
    messages.push(MessageBody);
    return {};
  });
  return {
    objects,
    messages,
    stop() {
      s3.restore();
      sqs.restore();
    },
  };
}

function* pieces(bytes: Buffer): Generator<Buffer> {
  for (let at = 0; at < bytes.length; at += 65_536) yield bytes.subarray(at, at + 65_536);
}
