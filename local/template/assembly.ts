import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Json } from '../cloud.ts';

/** One resource as the template spells it, intrinsic functions unresolved. */
export interface TemplateResource {
  readonly Type: string;
  readonly Properties?: Readonly<Record<string, Json>>;
  readonly DependsOn?: string | readonly string[];
  readonly Condition?: string;
}

/** A CloudFormation template, as far as the local cloud reads it. */
export interface Template {
  readonly Resources?: Readonly<Record<string, TemplateResource>>;
  readonly Outputs?: Readonly<
    Record<string, { readonly Value: Json; readonly Condition?: string; readonly Export?: { readonly Name: Json } }>
  >;
  readonly Parameters?: Readonly<Record<string, { readonly Type: string; readonly Default?: string }>>;
  readonly Mappings?: Readonly<Record<string, Readonly<Record<string, Readonly<Record<string, Json>>>>>>;
  readonly Conditions?: Readonly<Record<string, Json>>;
}

/** A stack of the cloud assembly. */
export interface Stack {
  readonly name: string;
  readonly template: Template;
}

/** What CDK has synthesized, as far as the local cloud reads it. */
export interface Assembly {
  /** In an order in which each comes after those that it depends on. */
  readonly stacks: readonly Stack[];
  /** Path by `<bucket>/<key>` of what would be uploaded; placeholders in the bucket's name are filled in. */
  readonly assets: ReadonlyMap<string, string>;
}

interface Manifest {
  readonly artifacts?: Readonly<Record<string, Artifact>>;
}

interface Artifact {
  readonly type: string;
  readonly dependencies?: readonly string[];
  readonly properties?: { readonly templateFile?: string; readonly stackName?: string; readonly file?: string };
}

interface AssetManifest {
  readonly files?: Readonly<
    Record<
      string,
      {
        readonly source?: { readonly path?: string };
        readonly destinations: Readonly<Record<string, { readonly bucketName: string; readonly objectKey: string }>>;
      }
    >
  >;
}

/** Reads the cloud assembly in `folder` (cdk.out) for the given account and region. */
export function readAssembly(folder: string, account: string, region: string): Assembly {
  const manifest = readJson<Manifest>(join(folder, 'manifest.json'));
  const artifacts = manifest.artifacts ?? {};
  const assets = new Map<string, string>();
  for (const artifact of Object.values(artifacts)) {
    const file = artifact.properties?.file;
    if (artifact.type !== 'cdk:asset-manifest' || file === undefined) continue;
    for (const asset of Object.values(readJson<AssetManifest>(join(folder, file)).files ?? {})) {
      if (asset.source?.path === undefined) continue;
      for (const destination of Object.values(asset.destinations)) {
        const bucket = destination.bucketName
          .replaceAll(/\$\{AWS::AccountId\}/g, account)
          .replaceAll(/\$\{AWS::Region\}/g, region)
          .replaceAll(/\$\{AWS::Partition\}/g, 'aws');
        assets.set(`${bucket}/${destination.objectKey}`, join(folder, asset.source.path));
      }
    }
  }
  return { stacks: stacksInOrder(folder, artifacts), assets };
}

function stacksInOrder(folder: string, artifacts: Readonly<Record<string, Artifact>>): Stack[] {
  const stacks: Stack[] = [];
  const seen = new Set<string>();
  const visit = (id: string) => {
    const artifact = artifacts[id];
    if (artifact === undefined || seen.has(id)) return;
    seen.add(id);
    for (const dependency of artifact.dependencies ?? []) visit(dependency);
    const file = artifact.properties?.templateFile;
    if (artifact.type === 'aws:cloudformation:stack' && file !== undefined) {
      stacks.push({ name: artifact.properties?.stackName ?? id, template: readJson<Template>(join(folder, file)) });
    }
  };
  for (const id of Object.keys(artifacts)) visit(id);
  return stacks;
}

function readJson<T>(file: string): T {
  return JSON.parse(readFileSync(file, 'utf8')) as T;
}
