// The environment is read once per process, by one schema, and every bad variable is reported at once.
import { z } from 'zod';

export class ConfigError extends Error {
  override readonly name = 'ConfigError';
}

/** Parses `env` by `schema`. Throws ConfigError naming every bad variable and what was expected. */
export function readEnv<T extends z.ZodType>(schema: T, env: NodeJS.ProcessEnv): Readonly<z.infer<T>> {
  const parsed = schema.safeParse(env);
  if (!parsed.success) {
    const lines = parsed.error.issues.map((issue) => {
      const name = issue.path.join('.');
      return `  ${name}: ${env[name] === undefined ? 'must be set' : issue.message}`;
    });
    throw new ConfigError(`bad environment:\n${lines.join('\n')}`);
  }
  return Object.freeze(parsed.data) as Readonly<z.infer<T>>;
}
