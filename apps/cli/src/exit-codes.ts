// What `serin` ends with: pipelines branch on it, so a number never changes its meaning.

export const exitCodes = {
  ok: 0,
  unexpected: 1,
  notAuthorised: 2,
  notFound: 3,
  refused: 4,
  unreachable: 5,
  rolledBack: 10,
  aborted: 11,
  paused: 12,
  notInTime: 13,
} as const;

export type ExitCode = (typeof exitCodes)[keyof typeof exitCodes];

/** Shown under every --help. */
export const exitCodesHelp = `
Exit codes:
   0  done; when following a rollout: promoted
   1  wrong usage, or something unexpected
   2  not authorised: no key, an unknown key, or a key without the scope
   3  not found
   4  refused: it conflicts with the state of things, or the input is not acceptable
   5  the controller does not answer
  10  the rollout was rolled back
  11  the rollout was aborted
  12  the rollout is paused and asks for a person (with --exit-on-pause)
  13  not finished within the given time`;

/** An end that was foreseen: what to tell and what to end with. */
export class CliError extends Error {
  override readonly name = 'CliError';
  constructor(
    readonly exitCode: ExitCode,
    message: string,
    /** What to do about it. */
    readonly remedy?: string,
  ) {
    super(message);
  }
}
