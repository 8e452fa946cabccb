import { defineConfig } from 'vitest/config';

export default defineConfig({
  // Read libraries from source, as `tsc` does (package.json "imports"). A name of our own: packages publish a condition "source" too.
  resolve: { conditions: ['serin-source'] },
  ssr: { resolve: { conditions: ['serin-source'] } },
  // Specs are outside the tsconfig that owns their folder, so say it here too:
  // Nest and TypeORM read decorator metadata at run time.
  oxc: { decorator: { legacy: true, emitDecoratorMetadata: true } },
  test: {
    projects: [
      {
        extends: true,
        test: { name: 'unit', include: ['test/simulation/**/*.spec.ts', 'libs/*/src/**/*.spec.ts', 'apps/*/src/**/*.spec.ts'] },
      },
      {
        extends: true,
        test: {
          name: 'integration',
          include: ['test/integration/**/*.spec.ts', 'test/contract/**/*.spec.ts', 'test/house/**/*.spec.ts'],
          globalSetup: ['test/support/postgres.global.ts'],
          testTimeout: 60_000,
          hookTimeout: 60_000,
          maxWorkers: 2,
        },
      },
      {
        extends: true,
        test: {
          name: 'e2e',
          include: ['test/e2e/**/*.spec.ts', 'test/faults/**/*.spec.ts'],
          globalSetup: ['test/support/postgres.global.ts'],
          fileParallelism: false,
          testTimeout: 300_000,
          hookTimeout: 120_000,
        },
      },
    ],
  },
});
