import { createHash, randomBytes } from 'node:crypto';
import { AwsError, type Store } from '../../cloud.ts';

/** A multipart upload that has begun. */
export interface Upload {
  readonly id: string;
  readonly bucket: string;
  readonly key: string;
  /** The headers of the object that it becomes. */
  readonly headers: Readonly<Record<string, string>>;
}

interface Part {
  readonly etag: string;
  /** base64 */
  readonly body: string;
}

/** Every part but the last has at least 5 MiB. */
const SMALLEST_PART = 5 * 1024 * 1024;

const UPLOADS = 's3/upload';
const partSpace = (id: string): string => `s3/upload-part/${id}`;
const partKey = (number: number): string => String(number).padStart(5, '0');

/** Multipart uploads, kept in the cloud's store. */
export class Uploads {
  readonly #store: Store;

  constructor(store: Store) {
    this.#store = store;
  }

  begin(bucket: string, key: string, headers: Readonly<Record<string, string>>): Upload {
    const upload: Upload = { id: randomBytes(24).toString('base64url'), bucket, key, headers };
    this.#store.put(UPLOADS, upload.id, upload);
    return upload;
  }

  /** AwsError `NoSuchUpload` (404). */
  get(bucket: string, key: string, id: string): Upload {
    const upload = this.#store.get<Upload>(UPLOADS, id);
    if (upload === undefined || upload.bucket !== bucket || upload.key !== key) {
      throw new AwsError('NoSuchUpload', 'The specified upload does not exist.', 404);
    }
    return upload;
  }

  /** Returns the part's ETag. */
  putPart(upload: Upload, number: number, content: Buffer): string {
    if (!Number.isInteger(number) || number < 1 || number > 10_000) {
      throw new AwsError('InvalidArgument', 'Part number must be an integer between 1 and 10000, inclusive');
    }
    const part: Part = {
      etag: `"${createHash('md5').update(content).digest('hex')}"`,
      body: content.toString('base64'),
    };
    this.#store.put(partSpace(upload.id), partKey(number), part);
    return part.etag;
  }

  /** The content of the listed parts in order, and the ETag of the whole. */
  assemble(
    upload: Upload,
    listed: readonly { readonly number: number; readonly etag: string }[],
  ): { readonly content: Buffer; readonly etag: string } {
    if (listed.length === 0) throw new AwsError('MalformedXML', 'You must specify at least one part');
    const contents = listed.map(({ number, etag }, index) => {
      if (index > 0 && number <= (listed[index - 1]?.number ?? 0)) {
        throw new AwsError('InvalidPartOrder', 'The list of parts was not in ascending order.');
      }
      const part = this.#store.get<Part>(partSpace(upload.id), partKey(number));
      if (part === undefined || part.etag.replaceAll('"', '') !== etag.replaceAll('"', '')) {
        throw new AwsError('InvalidPart', 'One or more of the specified parts could not be found.');
      }
      const content = Buffer.from(part.body, 'base64');
      if (content.length < SMALLEST_PART && index < listed.length - 1) {
        throw new AwsError('EntityTooSmall', 'Your proposed upload is smaller than the minimum allowed object size.');
      }
      return content;
    });
    const digests = contents.map((content) => createHash('md5').update(content).digest());
    const etag = createHash('md5').update(Buffer.concat(digests)).digest('hex');
    return { content: Buffer.concat(contents), etag: `"${etag}-${contents.length}"` };
  }

  end(upload: Upload): void {
    this.#store.transaction(() => {
      for (const { key } of this.#store.list(partSpace(upload.id))) this.#store.delete(partSpace(upload.id), key);
      this.#store.delete(UPLOADS, upload.id);
    });
  }
}
