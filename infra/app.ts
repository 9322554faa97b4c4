import { join } from 'node:path';
import { bundleFunctions } from './bundle.ts';
import { MissingFunction } from './constructs/wardline-function.ts';
import { readSettings, SettingError } from './settings.ts';
import { defineWardline, newApp } from './wardline.ts';

/** What `cdk` runs: settings from cdk context, functions bundled, everything synthesized and checked. */
function main(): void {
  const app = newApp();
  const context = app.node.getAllContext() as Record<string, unknown>;
  const settings = readSettings({
    context: (key) => app.node.tryGetContext(key) as unknown,
    keys: Object.keys(context).filter((key) => key.startsWith('wardline:')),
    environment: process.env,
  });
  // Beside the templates that they belong to: two syntheses at the same time do not disturb each other.
  const bundles = join(app.outdir, 'functions');
  bundleFunctions(bundles);
  defineWardline(app, settings, bundles);
  app.synth();
}

try {
  main();
} catch (error) {
  if (!(error instanceof SettingError || error instanceof MissingFunction)) throw error;
  console.error(error.message);
  process.exitCode = 1;
}
