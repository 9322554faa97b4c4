import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Json } from '../../../local/cloud.ts';

/** A resource of a template. */
type Resource = { readonly Type: string; readonly Properties?: Json; readonly DependsOn?: string };

/** A cloud assembly with one stack `Tiny`, written to a folder of its own. */
export interface TinyAssembly {
  readonly folder: string;
  /** A folder for what the cloud writes. */
  readonly workFolder: string;
  remove(): void;
}

/** Writes an assembly with these resources and these functions (module source by name). */
export function tinyAssembly(
  resources: Readonly<Record<string, Resource>>,
  functions: Readonly<Record<string, string>> = {},
): TinyAssembly {
  const base = mkdtempSync(join(tmpdir(), 'wardline-tiny-'));
  const folder = join(base, 'cdk.out');
  const workFolder = join(base, 'work');
  mkdirSync(folder);
  const files: Record<string, Json> = {};
  for (const [name, source] of Object.entries(functions)) {
    mkdirSync(join(folder, `asset.${name}`));
    writeFileSync(join(folder, `asset.${name}`, 'index.mjs'), source);
    files[name] = {
      source: { path: `asset.${name}`, packaging: 'zip' },
      destinations: { here: { bucketName: ['assets-$', '{AWS::AccountId}'].join(''), objectKey: `${name}.zip` } },
    };
  }
  const write = (name: string, content: Json) => writeFileSync(join(folder, name), JSON.stringify(content));
  write('Tiny.assets.json', { files });
  write('Tiny.template.json', { Resources: resources as unknown as Json });
  write('manifest.json', {
    artifacts: {
      'Tiny.assets': { type: 'cdk:asset-manifest', properties: { file: 'Tiny.assets.json' } },
      Tiny: {
        type: 'aws:cloudformation:stack',
        dependencies: ['Tiny.assets'],
        properties: { templateFile: 'Tiny.template.json', stackName: 'Tiny' },
      },
    },
  });
  return { folder, workFolder, remove: () => rmSync(base, { recursive: true, force: true }) };
}

/** A function and its role, which may do what the statements say. `logicalId` is the function's, `<logicalId>Role` the role's. */
export function tinyFunction(
  logicalId: string,
  statements: readonly Json[],
  properties: Readonly<Record<string, Json>> = {},
): Record<string, Resource> {
  return {
    [`${logicalId}Role`]: {
      Type: 'AWS::IAM::Role',
      Properties: {
        AssumeRolePolicyDocument: {
          Version: '2012-10-17',
          Statement: [{ Effect: 'Allow', Action: 'sts:AssumeRole', Principal: { Service: 'lambda.amazonaws.com' } }],
        },
        Policies:
          statements.length === 0
            ? []
            : [{ PolicyName: 'own', PolicyDocument: { Version: '2012-10-17', Statement: [...statements] } }],
      },
    },
    [logicalId]: {
      Type: 'AWS::Lambda::Function',
      Properties: {
        FunctionName: logicalId,
        Code: { S3Bucket: { 'Fn::Join': ['-', ['assets', { Ref: 'AWS::AccountId' }]] }, S3Key: `${logicalId}.zip` },
        Handler: 'index.handler',
        Runtime: 'nodejs24.x',
        Role: { 'Fn::GetAtt': [`${logicalId}Role`, 'Arn'] },
        Timeout: 5,
        MemorySize: 128,
        ...properties,
      },
    },
  };
}
