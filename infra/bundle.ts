import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type BuildOptions, buildSync, type Metafile } from 'esbuild';

const root = resolve(dirname(fileURLToPath(import.meta.url)), '..');

/** Where the bundles of all functions are written: one folder a function, each holding `index.mjs`. */
export const bundleFolder = join(root, 'dist', 'functions');

/**
 * Bundles every folder of `functions/` that holds a `handler.ts` into `dist/functions/<name>/index.mjs`, in one run of
 * esbuild, and returns esbuild's metafile. Synth calls it, so that what is deployed is always what is in the tree.
 *
 * A function that reads a file at run time (WebAssembly, Cedar policies) names it in `assets.json` beside its handler:
 * a list of paths of files and folders from the repository's root, copied next to `index.mjs`.
 */
export function bundleFunctions(outFolder: string = bundleFolder): Metafile {
  const names = functionNames();
  rmSync(outFolder, { recursive: true, force: true });
  mkdirSync(outFolder, { recursive: true });
  const result = buildSync({
    ...bundleOptions,
    absWorkingDir: root,
    entryPoints: names.map((name) => ({ in: join('functions', name, 'handler.ts'), out: join(name, 'index') })),
    outdir: outFolder,
    outExtension: { '.js': '.mjs' },
    metafile: true,
  });
  for (const name of names) {
    const list = join(root, 'functions', name, 'assets.json');
    if (!existsSync(list)) continue;
    for (const asset of readAssetList(list)) {
      cpSync(join(root, asset), join(outFolder, name, asset.split('/').at(-1) ?? asset), { recursive: true });
    }
  }
  writeFileSync(join(outFolder, 'meta.json'), JSON.stringify(result.metafile));
  return result.metafile;
}

const otherCredentialSources = [
  '@aws-sdk/credential-provider-http',
  '@aws-sdk/credential-provider-ini',
  '@aws-sdk/credential-provider-process',
  '@aws-sdk/credential-provider-sso',
  '@aws-sdk/credential-provider-web-identity',
  '@smithy/credential-provider-imds',
];

/** How every function is bundled. */
export const bundleOptions = {
  bundle: true,
  minify: true,
  keepNames: false,
  platform: 'node',
  target: 'node24',
  format: 'esm',
  // The SDK's ES modules tree-shake; its CommonJS builds do not.
  mainFields: ['module', 'main'],
  // Lambda hands credentials over in the environment. The SDK's other sources (profiles, SSO, instance metadata) are
  // imported only when these are missing, and would be a third of every bundle.
  external: otherCredentialSources,
  // CommonJS dependencies inside an ES module still ask for require, and for the folder that their files lie in.
  banner: {
    // esbuild does not see this text, so its names must be longer than any that minifying makes up.
    js: "import{createRequire as wardlineCreateRequire}from'node:module';const require=wardlineCreateRequire(import.meta.url),__dirname=import.meta.dirname;",
  },
  logLevel: 'warning',
} satisfies BuildOptions;

/** The names of all functions: the folders of `functions/` that hold a `handler.ts`. */
export function functionNames(): string[] {
  return readdirSync(join(root, 'functions'), { withFileTypes: true })
    .filter((entry) => entry.isDirectory() && existsSync(join(root, 'functions', entry.name, 'handler.ts')))
    .map((entry) => entry.name)
    .sort();
}

function readAssetList(file: string): string[] {
  const list: unknown = JSON.parse(readFileSync(file, 'utf8'));
  if (!Array.isArray(list) || !list.every((path) => typeof path === 'string')) {
    throw new Error(`${file}: expected a JSON list of paths from the repository's root`);
  }
  return list;
}
