import { createHash, randomBytes } from 'node:crypto';
import { AwsError, type Clock, type Store } from '../../cloud.ts';

/** A bucket as the template has it. */
export interface Bucket {
  readonly name: string;
  readonly versioned: boolean;
  readonly objectLock: boolean;
  /** Retention of objects that are put without one of their own. */
  readonly defaultRetention?: { readonly mode: LockMode; readonly days: number };
  /** The key of the bucket's default encryption: id, ARN or alias. */
  readonly keyName?: string;
}

/** How a retention is kept: nobody can delete under COMPLIANCE, some may under GOVERNANCE. */
export type LockMode = 'COMPLIANCE' | 'GOVERNANCE';

/** Until when (ms since the epoch) a version cannot be deleted. */
export interface Retention {
  readonly mode: LockMode;
  readonly until: number;
}

/** One version of an object. */
export interface ObjectVersion {
  /** `null` in a bucket without versioning. */
  readonly id: string;
  readonly deleteMarker: boolean;
  /** ms since the epoch */
  readonly modifiedAt: number;
  readonly size: number;
  /** With its quotation marks. */
  readonly etag: string;
  /** Headers that come back with the object: content-type, x-amz-meta-..., checksums. */
  readonly headers: Readonly<Record<string, string>>;
  readonly retention?: Retention;
  readonly legalHold?: boolean;
  /** The key of the body. */
  readonly body: string;
}

/** What is put. */
export interface NewObject {
  readonly headers: Readonly<Record<string, string>>;
  readonly etag?: string;
  readonly retention?: Retention;
  readonly legalHold?: boolean;
}

const BUCKETS = 's3/bucket';
const BODIES = 's3/body';
const DAY = 86_400_000;

/** Buckets and their objects, kept in the cloud's store. */
export class ObjectStore {
  readonly #store: Store;
  readonly #clock: Clock;

  constructor(store: Store, clock: Clock) {
    this.#store = store;
    this.#clock = clock;
  }

  putBucket(bucket: Bucket): void {
    this.#store.put(BUCKETS, bucket.name, bucket);
  }

  /** AwsError `NoSuchBucket` (404). */
  bucket(name: string): Bucket {
    const bucket = this.#store.get<Bucket>(BUCKETS, name);
    if (bucket === undefined) throw new AwsError('NoSuchBucket', 'The specified bucket does not exist', 404);
    return bucket;
  }

  /** All versions of an object, newest first. */
  versions(bucket: Bucket, key: string): readonly ObjectVersion[] {
    return this.#store.get<ObjectVersion[]>(space(bucket), key) ?? [];
  }

  /** The newest version; undefined when there is none or it is a delete marker. */
  current(bucket: Bucket, key: string): ObjectVersion | undefined {
    const [newest] = this.versions(bucket, key);
    return newest?.deleteMarker === true ? undefined : newest;
  }

  body(version: ObjectVersion): Buffer {
    return Buffer.from(this.#store.get<string>(BODIES, version.body) ?? '', 'base64');
  }

  put(bucket: Bucket, key: string, content: Buffer, object: NewObject): ObjectVersion {
    const retention = object.retention ?? this.#defaultRetention(bucket);
    const version: ObjectVersion = {
      id: bucket.versioned ? randomBytes(16).toString('hex') : 'null',
      deleteMarker: false,
      modifiedAt: this.#clock.now(),
      size: content.length,
      etag: object.etag ?? `"${createHash('md5').update(content).digest('hex')}"`,
      headers: object.headers,
      body: randomBytes(16).toString('hex'),
      ...(retention === undefined ? {} : { retention }),
      ...(object.legalHold === undefined ? {} : { legalHold: object.legalHold }),
    };
    this.#store.transaction(() => {
      this.#store.put(BODIES, version.body, content.toString('base64'));
      this.#add(bucket, key, version);
    });
    return version;
  }

  /** Deletes as `DeleteObject` without a version does: a delete marker in a versioned bucket, else the object itself. */
  remove(bucket: Bucket, key: string): ObjectVersion | undefined {
    if (!bucket.versioned) {
      this.#replace(bucket, key, []);
      return undefined;
    }
    const marker: ObjectVersion = {
      id: randomBytes(16).toString('hex'),
      deleteMarker: true,
      modifiedAt: this.#clock.now(),
      size: 0,
      etag: '',
      headers: {},
      body: '',
    };
    this.#add(bucket, key, marker);
    return marker;
  }

  /**
   * Deletes one version for good. AwsError `AccessDenied` (403) while it is retained or held; `bypassGovernance` lifts a
   * GOVERNANCE retention, nothing lifts COMPLIANCE.
   */
  removeVersion(bucket: Bucket, key: string, id: string, bypassGovernance: boolean): ObjectVersion | undefined {
    const versions = this.versions(bucket, key);
    const version = versions.find((candidate) => candidate.id === id);
    if (version === undefined) return undefined;
    const { retention } = version;
    const retained =
      retention !== undefined &&
      retention.until > this.#clock.now() &&
      !(retention.mode === 'GOVERNANCE' && bypassGovernance);
    if (retained || version.legalHold === true) {
      throw new AwsError('AccessDenied', 'Access Denied because object protected by object lock.', 403);
    }
    this.#replace(
      bucket,
      key,
      versions.filter((candidate) => candidate.id !== id),
    );
    return version;
  }

  /** Changes a version's retention; under COMPLIANCE it can only become longer. */
  retain(bucket: Bucket, key: string, id: string, retention: Retention, bypassGovernance: boolean): void {
    const versions = this.versions(bucket, key);
    const current = versions.find((version) => version.id === id)?.retention;
    const active = current !== undefined && current.until > this.#clock.now();
    const weaker = active && (retention.until < current.until || retention.mode !== current.mode);
    if (
      weaker &&
      !(
        current.mode === 'GOVERNANCE' &&
        (bypassGovernance || (retention.mode === 'COMPLIANCE' && retention.until >= current.until))
      )
    ) {
      throw new AwsError('AccessDenied', 'Access Denied because object protected by object lock.', 403);
    }
    const changed = versions.map((version) => (version.id === id ? { ...version, retention } : version));
    this.#store.put(space(bucket), key, changed);
  }

  /** Keys in order with all their versions. */
  list(bucket: Bucket, prefix: string): { readonly key: string; readonly versions: readonly ObjectVersion[] }[] {
    return this.#store.list<ObjectVersion[]>(space(bucket), prefix).map(({ key, value }) => ({ key, versions: value }));
  }

  #defaultRetention(bucket: Bucket): Retention | undefined {
    const rule = bucket.defaultRetention;
    return rule === undefined ? undefined : { mode: rule.mode, until: this.#clock.now() + rule.days * DAY };
  }

  #add(bucket: Bucket, key: string, version: ObjectVersion): void {
    const versions = this.versions(bucket, key);
    this.#replace(bucket, key, [version, ...(bucket.versioned ? versions : [])]);
  }

  /** Writes the versions of a key and drops the bodies that none of them has any more. */
  #replace(bucket: Bucket, key: string, versions: readonly ObjectVersion[]): void {
    this.#store.transaction(() => {
      const kept = new Set(versions.map((version) => version.body));
      for (const version of this.versions(bucket, key))
        if (!kept.has(version.body)) this.#store.delete(BODIES, version.body);
      if (versions.length === 0) this.#store.delete(space(bucket), key);
      else this.#store.put(space(bucket), key, versions);
    });
  }
}

const space = (bucket: Bucket): string => `s3/object/${bucket.name}`;
