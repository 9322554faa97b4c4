/** One project a level, so that `npm run test:unit` and its siblings run apart and `npm test` runs them together. */
const level = (name, extra = {}) => ({
  displayName: name,
  testEnvironment: 'node',
  testMatch: [`<rootDir>/test/${name}/**/*.test.ts`],
  extensionsToTreatAsEsm: ['.ts'],
  setupFilesAfterEnv: ['<rootDir>/test/support/setup.ts'],
  transform: {
    '^.+\\.ts$': [
      '@swc/jest',
      { jsc: { target: 'es2024', parser: { syntax: 'typescript' } }, module: { type: 'es6' }, sourceMaps: 'inline' },
    ],
  },
  ...extra,
});

const database = {
  globalSetup: '<rootDir>/test/support/start-database.ts',
  globalTeardown: '<rootDir>/test/support/stop-database.ts',
};

export default {
  maxWorkers: 2,
  // A crowded machine is slow, not wrong. What must be fast is asserted as requests and units, and measured by the benches.
  testTimeout: 90_000,
  projects: [level('unit'), level('infra'), level('integration', database), level('load', database)],
};
