import { randomUUID } from 'node:crypto';
import { AwsError, type Cloud } from '../../cloud.ts';
import { stableUuid } from '../identifiers.ts';

/** One value of a secret; exactly one of text and binary (base64) is set. */
export interface SecretValue {
  readonly text?: string;
  readonly binary?: string;
}

/** A version of a secret. */
export interface SecretVersion extends SecretValue {
  readonly id: string;
  /** `AWSCURRENT`, `AWSPREVIOUS`, `AWSPENDING` or labels of one's own. */
  readonly stages: readonly string[];
  /** ms since the epoch */
  readonly createdAt: number;
}

/** A secret with its versions, newest first. */
export interface Secret {
  readonly name: string;
  readonly arn: string;
  readonly description: string;
  /** The key of its encryption: id, ARN or alias. */
  readonly keyName?: string;
  /** ms since the epoch */
  readonly createdAt: number;
  readonly versions: readonly SecretVersion[];
}

const SPACE = 'secretsmanager/secret';
const CURRENT = 'AWSCURRENT';
const PREVIOUS = 'AWSPREVIOUS';

/** Secrets, kept in the cloud's store. */
export class Secrets {
  readonly #cloud: Cloud;

  constructor(cloud: Cloud) {
    this.#cloud = cloud;
  }

  /** The ARN of a secret; AWS ends it with six characters of chance, here they follow from the name. */
  arn(name: string): string {
    return this.#cloud.arn('secretsmanager', `secret:${name}-${stableUuid(`secret ${name}`).slice(0, 6)}`);
  }

  /** By name, ARN, or ARN without its last six characters; AwsError `ResourceNotFoundException`. */
  find(id: string): Secret {
    const text = id.startsWith('arn:') ? (id.split(':secret:')[1] ?? id) : id;
    const secret =
      this.#cloud.store.get<Secret>(SPACE, text) ??
      this.#cloud.store.get<Secret>(SPACE, text.replace(/-[0-9A-Za-z]{6}$/, ''));
    if (secret === undefined)
      throw new AwsError('ResourceNotFoundException', "Secrets Manager can't find the specified secret.");
    return secret;
  }

  /** Makes a secret, or keeps the values of the one that is there. `initial` is asked only for a new one. */
  create(
    name: string,
    initial: () => SecretValue | undefined,
    more: { readonly description: string; readonly keyName?: string },
  ): Secret {
    const kept = this.#cloud.store.get<Secret>(SPACE, name);
    const now = this.#cloud.clock.now();
    const value = kept === undefined ? initial() : undefined;
    const secret: Secret = {
      name,
      arn: this.arn(name),
      createdAt: kept?.createdAt ?? now,
      versions:
        value === undefined
          ? (kept?.versions ?? [])
          : [{ ...value, id: randomUUID(), stages: [CURRENT], createdAt: now }],
      ...more,
    };
    this.#cloud.store.put(SPACE, name, secret);
    return secret;
  }

  /** AwsError `ResourceNotFoundException` when there is no such version. */
  version(secret: Secret, versionId: string | undefined, stage: string | undefined): SecretVersion {
    const wanted = stage ?? (versionId === undefined ? CURRENT : undefined);
    const found = secret.versions.find(
      ({ id, stages }) =>
        (versionId === undefined || id === versionId) && (wanted === undefined || stages.includes(wanted)),
    );
    if (found === undefined) {
      throw new AwsError(
        'ResourceNotFoundException',
        `Secrets Manager can't find the specified secret value for staging label: ${wanted ?? versionId}`,
      );
    }
    return found;
  }

  /** Adds a version. The same token with the same value changes nothing, with another one it is refused. */
  put(secret: Secret, value: SecretValue, token: string, stages: readonly string[]): SecretVersion {
    const there = secret.versions.find(({ id }) => id === token);
    if (there !== undefined) {
      if (there.text === value.text && there.binary === value.binary) return there;
      throw new AwsError('ResourceExistsException', 'A version with this token exists with another value.');
    }
    const version: SecretVersion = { ...value, id: token, stages, createdAt: this.#cloud.clock.now() };
    const moved = secret.versions.map((old) => {
      const left = old.stages.filter(
        (stage) => !stages.includes(stage) && !(stage === PREVIOUS && stages.includes(CURRENT)),
      );
      return { ...old, stages: stages.includes(CURRENT) && old.stages.includes(CURRENT) ? [...left, PREVIOUS] : left };
    });
    // A version without a stage is deprecated, and AWS deletes it.
    const versions = [version, ...moved.filter((old) => old.stages.length > 0)];
    this.#cloud.store.put(SPACE, secret.name, { ...secret, versions } satisfies Secret);
    return version;
  }
}
