/**
 * The dependency rule of docs/architecture.md: functions -> shared/<concept>; infra and local know functions only by
 * path; the domain knows no AWS SDK outside store.ts and shared/aws/; nothing that is deployed knows the local cloud.
 */
const deployed = '^(infra|functions|shared)/';
const sdk = '(^|/)node_modules/(@aws-sdk|@smithy)/';

module.exports = {
  forbidden: [
    { name: 'no-cycles', severity: 'error', from: {}, to: { circular: true } },
    {
      name: 'no-unresolved',
      comment: 'aws-lambda holds only types (@types/aws-lambda).',
      severity: 'error',
      from: {},
      to: { couldNotResolve: true, pathNot: '^aws-lambda$' },
    },
    {
      name: 'functions-stand-alone',
      comment: 'A function shares code through shared/, never by importing another function.',
      severity: 'error',
      from: { path: '^functions/([^/]+)/' },
      to: { path: '^functions/', pathNot: '^functions/$1/' },
    },
    {
      name: 'functions-know-only-shared',
      severity: 'error',
      from: { path: '^functions/' },
      to: { path: '^(infra|local|cli|agent|console|test)/' },
    },
    {
      name: 'shared-knows-only-itself',
      severity: 'error',
      from: { path: '^shared/' },
      to: { path: '^(infra|functions|local|cli|agent|console|test)/' },
    },
    {
      name: 'rules-without-sdk',
      comment: 'Rules are pure: only the stores of a concept (store.ts, *-store.ts) and shared/aws/ speak to AWS.',
      severity: 'error',
      from: { path: '^shared/', pathNot: ['^shared/aws/', '[/-]store\\.ts$'] },
      to: { path: sdk, dependencyTypesNot: ['type-only'] },
    },
    {
      name: 'infra-and-local-know-functions-by-path',
      severity: 'error',
      from: { path: '^(infra|local)/' },
      to: { path: '^functions/' },
    },
    {
      name: 'local-is-never-deployed',
      severity: 'error',
      from: { path: deployed },
      to: { path: '^local/' },
    },
    {
      name: 'agent-speaks-only-the-protocol',
      severity: 'error',
      from: { path: '^agent/' },
      to: { path: '^(infra|functions|local|cli|console|test)/|^shared/(?!protocols/|devices/device\\.ts)' },
    },
  ],
  options: {
    doNotFollow: { path: 'node_modules' },
    exclude: { path: '^(cdk\\.out|dist|\\.wardline)/' },
    tsPreCompilationDeps: true,
    parser: 'swc',
    tsConfig: { fileName: 'tsconfig.json' },
    enhancedResolveOptions: {
      extensions: ['.ts', '.js', '.mjs', '.cjs', '.json'],
      exportsFields: ['exports'],
      conditionNames: ['import', 'node', 'default', 'require'],
    },
  },
};
