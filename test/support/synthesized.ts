import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { functionNames } from '../../infra/bundle.ts';
import { readSettings, type SettingSources } from '../../infra/settings.ts';
import { defineWardline, newApp, type Wardline } from '../../infra/wardline.ts';
import { routes } from '../../shared/http/routes.ts';

/** One resource of a template. */
export interface TemplateResource {
  readonly Type: string;
  readonly Properties: Readonly<Record<string, unknown>>;
  readonly DeletionPolicy?: string;
  readonly DependsOn?: string | readonly string[];
}

/** A synthesized template. */
export interface Template {
  readonly Resources: Readonly<Record<string, TemplateResource>>;
  readonly Outputs: Readonly<Record<string, { readonly Value: unknown }>>;
}

/** What a synth gave. */
export interface Synthesized {
  readonly wardline: Wardline;
  /** What CDK would have to look up in an account before it could deploy. */
  readonly lookups: readonly unknown[];
  /** By stack name. */
  readonly templates: Readonly<Record<string, Template>>;
}

/** Settings that are enough for a synth. */
export const sampleContext = {
  'wardline:oidc': { issuer: 'https://login.example.org', audience: 'wardline' },
  'wardline:deviceDomain': {
    name: 'devices.wardline.example.org',
    certificateArn: 'arn:aws:acm:us-east-1:111122223333:certificate/sample',
  },
  'wardline:alarmEmail': 'oncall@example.org',
};

export const sampleEnvironment = { CDK_DEFAULT_ACCOUNT: '111122223333', CDK_DEFAULT_REGION: 'us-east-1' };

/** Settings as `infra/app.ts` reads them, from these values. */
export function sources(
  context: Readonly<Record<string, unknown>>,
  environment: SettingSources['environment'] = sampleEnvironment,
): SettingSources {
  return { context: (key) => context[key], keys: Object.keys(context), environment };
}

/**
 * Synthesizes all stacks with all checks, with an empty bundle in place of each function: what the infrastructure says
 * does not depend on what functions hold. Throws what a check found.
 */
export function synthesized(
  context: Readonly<Record<string, unknown>> = sampleContext,
  environment: SettingSources['environment'] = sampleEnvironment,
): Synthesized {
  return synthesize(context, environment);
}

/** The same without the checks, in a quarter of the time: for tests of what is in a template. */
export function synthesizedUnchecked(context: Readonly<Record<string, unknown>> = sampleContext): Synthesized {
  const before = process.env['CDK_VALIDATION'];
  process.env['CDK_VALIDATION'] = 'false';
  try {
    return synthesize(context, sampleEnvironment);
  } finally {
    if (before === undefined) delete process.env['CDK_VALIDATION'];
    else process.env['CDK_VALIDATION'] = before;
  }
}

function synthesize(
  context: Readonly<Record<string, unknown>>,
  environment: SettingSources['environment'],
): Synthesized {
  const folder = mkdtempSync(join(tmpdir(), 'wardline-synth-'));
  try {
    const bundles = join(folder, 'functions');
    for (const name of new Set([...functionNames(), ...routes.map((route) => route.function)])) {
      mkdirSync(join(bundles, name), { recursive: true });
      writeFileSync(join(bundles, name, 'index.mjs'), 'export const handler = async () => undefined;\n');
    }
    const app = newApp({ outdir: join(folder, 'cdk.out'), context });
    const wardline = defineWardline(app, readSettings(sources(context, environment)), bundles);
    const assembly = app.synth();
    const templates = Object.fromEntries(
      assembly.stacks.map((stack) => [
        stack.stackName,
        JSON.parse(readFileSync(stack.templateFullPath, 'utf8')) as Template,
      ]),
    );
    return { wardline, templates, lookups: assembly.manifest.missing ?? [] };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** All resources of a type, by `<stack>/<logical id>`. */
export function resourcesOf(synth: Synthesized, type: string): readonly (TemplateResource & { readonly id: string })[] {
  return Object.entries(synth.templates).flatMap(([stack, template]) =>
    Object.entries(template.Resources)
      .filter(([, resource]) => resource.Type === type)
      .map(([id, resource]) => ({ ...resource, id: `${stack}/${id}` })),
  );
}
