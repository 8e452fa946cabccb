// The grammar of `serin`: noun, verb, options. What each does is in the folder of its noun.
import { Command, CommanderError, InvalidArgumentError, Option } from 'commander';
import { allScopes, phaseName } from '#libs/contract';
import { Client } from './client.js';
import { CliError, type ExitCode, exitCodes, exitCodesHelp } from './exit-codes.js';
import type { Io } from './io.js';
import { type CreateKeyOptions, createKey, type ListKeysOptions, listKeys, revokeKey } from './key/command.js';
import { type CommandKind, type CommandOptions, command, type StartOptions, start } from './rollout/command.js';
import { type PriceOptions, price } from './rollout/price.js';
import { type ReplayOptions, replay } from './rollout/replay.js';
import { type GetOptions, get, type ListOptions, list } from './rollout/show.js';
import { readSettings } from './settings.js';
import { plain } from './text.js';

const about: Readonly<Record<CommandKind, string>> = {
  rollback: 'take the candidate back to 0% and wait until the gateways confirm',
  pause: 'hold the candidate at its weight; checks keep watching',
  resume: 'go on with a paused rollout',
  promote: 'make the candidate the stable version now, whatever the plan still asks',
  abort: 'end the rollout at 0% without a verdict on the candidate',
};

/** Runs one command line (without node and script) and resolves to its exit code; never throws. */
export async function run(argv: readonly string[], io: Io): Promise<ExitCode> {
  let code: ExitCode = exitCodes.ok;
  const program = grammar(io, (ended) => {
    code = ended;
  });
  try {
    await program.parseAsync(argv, { from: 'user' });
    return code;
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? exitCodes.ok : exitCodes.unexpected;
    if (error instanceof CliError) {
      io.err(`serin: ${clean(error.message)}`);
      if (error.remedy) io.err(`  ${clean(error.remedy)}`);
      return error.exitCode;
    }
    if (io.signal.aborted) return exitCodes.unexpected;
    io.err(`serin: unexpected: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`);
    return exitCodes.unexpected;
  }
}

/** Lines are ours; what they hold may be somebody else's. */
function clean(text: string): string {
  return text.split('\n').map(plain).join('\n');
}

function grammar(io: Io, ended: (code: ExitCode) => void): Command {
  const program = new Command('serin')
    .description('Safe rollouts of self-hosted language models.')
    .option('--url <address>', 'the controller (default: SERIN_CONTROLLER_URL, else http://127.0.0.1:3000)')
    .option(
      '--key <key>',
      'API key (default: SERIN_API_KEY, else data/admin-key of a Serin on this machine; others see options of a process)',
    )
    .addHelpText('after', exitCodesHelp)
    .showHelpAfterError('(serin --help tells more)');
  hushed(program, io);
  const connected: Connected = async (work) => {
    const settings = await readSettings(program.opts<{ url?: string; key?: string }>(), io.env);
    ended(await work(new Client(settings, io)));
  };
  const rollout = program.command('rollout').description('look at rollouts, start them, decide about them');
  rollout
    .command('list')
    .description('newest first')
    .option('--model <name>', 'only of this model')
    .addOption(new Option('--phase <phase>', 'only in this phase').choices(phaseName.options))
    .option('--limit <count>', 'at most this many, 1 to 200', wholeNumber(1, 200), 50)
    .option('--json', 'as JSON')
    .action(async (options: ListOptions) => await connected(async (client) => await list(client, io, options)));
  rollout
    .command('get')
    .description('state, checks and events of a rollout')
    .argument('<id>')
    .option(
      '-w, --watch',
      'tell events as they happen until the rollout has ended and the gateways serve by it; the exit code is its verdict',
    )
    .option('--exit-on-pause', 'with --watch: end when the rollout pauses')
    .option('--timeout <seconds>', 'with --watch: give up after this long', wholeNumber(1, 31_536_000))
    .option('--json', 'as JSON; with --watch one line an event')
    .action(async (id: string, options: GetOptions) => await connected(async (client) => await get(client, io, id, options)));
  rollout
    .command('start')
    .description('roll a registered version out beside the stable one')
    .argument('<model>')
    .argument('<version>', 'label of the candidate')
    .option('--plan <file>', 'YAML or JSON file laid over the default plan of the model')
    .option('-w, --watch', 'follow it to its end, as get --watch does')
    .option('--json', 'as JSON')
    .action(
      async (model: string, version: string, options: StartOptions) =>
        await connected(async (client) => await start(client, io, model, version, options)),
    );
  rollout
    .command('price')
    .description("what a rollout would cost under today's traffic; ends with 4 when its plan is not expected to decide")
    .argument('<model>')
    .argument('<version>', 'label of the candidate')
    .option('--plan <file>', 'YAML or JSON file laid over the default plan of the model')
    .option('--json', 'as JSON')
    .action(
      async (model: string, version: string, options: PriceOptions) =>
        await connected(async (client) => await price(client, io, model, version, options)),
    );
  rollout
    .command('replay')
    .description('decide once more from the stored evidence: ends with 4 when something else would be decided today')
    .argument('<id>')
    .option('--plan <file>', 'decide by this YAML or JSON plan, laid over the one of the rollout: what would it have done?')
    .option('--json', 'as JSON')
    .action(async (id: string, options: ReplayOptions) => await connected(async (client) => await replay(client, io, id, options)));
  for (const kind of ['rollback', 'pause', 'resume', 'promote', 'abort'] as const) addCommand(rollout, kind, io, connected);
  const key = addKeyCommands(program, io, connected);
  for (const noun of [rollout, key]) {
    for (const verb of noun.commands) verb.addHelpText('after', exitCodesHelp);
    for (const each of [noun, ...noun.commands]) hushed(each, io);
  }
  return program;
}

type Connected = (work: (client: Client) => Promise<ExitCode>) => Promise<void>;

function addKeyCommands(program: Command, io: Io, connected: Connected): Command {
  const key = program.command('key').alias('keys').description('make API keys, look at them, take them back');
  key
    .command('list')
    .description('newest first')
    .option('--all', 'also those that were revoked or have expired')
    .option('--json', 'as JSON')
    .action(async (options: ListKeysOptions) => await connected(async (client) => await listKeys(client, io, options)));
  key
    .command('create')
    .description('make a key; its text is printed once, alone on standard output')
    .argument('<name>')
    .addOption(
      new Option('--scope <scope...>', 'what it may do; only what your own key may').choices(allScopes).default(['inference:invoke']),
    )
    .option('--requests-per-minute <count>', 'over all gateways together', wholeNumber(1, 1_000_000_000))
    .option('--tokens-per-minute <count>', 'prompts and answers, over all gateways together', wholeNumber(1, 1_000_000_000))
    .option('--concurrent-requests <count>', 'at once', wholeNumber(1, 1_000_000))
    .option('--days <count>', 'until it expires (default: as long as your own key)', wholeNumber(1, 3_650))
    .option('--json', 'as JSON')
    .action(
      async (name: string, options: CreateKeyOptions) => await connected(async (client) => await createKey(client, io, name, options)),
    );
  key
    .command('revoke')
    .description('the gateways refuse it within the second')
    .argument('<id>')
    .option('--json', 'as JSON')
    .action(async (id: string, options: { json?: boolean }) => await connected(async (client) => await revokeKey(client, io, id, options)));
  return key;
}

function addCommand(rollout: Command, kind: CommandKind, io: Io, connected: Connected): void {
  const verb = rollout
    .command(kind)
    .description(about[kind])
    .argument('<id>')
    .requiredOption('--reason <text>', 'why; at least 3 characters; goes into events, alerts and audit', reasonText)
    .option('--json', 'as JSON');
  if (kind === 'rollback')
    verb.option('--wait <seconds>', 'wait this long for the gateways to confirm; 0 does not wait', wholeNumber(0, 3600), 30);
  verb.action(
    async (id: string, options: CommandOptions) => await connected(async (client) => await command(client, io, kind, id, options)),
  );
}

/** Commander prints and exits by itself; here it does neither. */
function hushed(verb: Command, io: Io): void {
  verb.exitOverride().configureOutput({
    writeOut: (text) => io.out(text.trimEnd()),
    writeErr: (text) => io.err(text.trimEnd()),
  });
}

function wholeNumber(least: number, most: number): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (!/^\d+$/.test(text) || value < least || value > most)
      throw new InvalidArgumentError(`Give a whole number from ${least} to ${most}.`);
    return value;
  };
}

function reasonText(text: string): string {
  const reason = text.trim();
  if (reason.length < 3 || reason.length > 2000) throw new InvalidArgumentError('Give 3 to 2000 characters.');
  return reason;
}
