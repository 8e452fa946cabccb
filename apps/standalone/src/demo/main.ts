// `npm run demo`: the main job on real models. Starts everything on an embedded Postgres, replays the bundled traffic, deploys five
// versions by webhook and tells what happens to each. Exits with 1 when any outcome is not the right one.
import { mkdir, rm } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { systemClock } from '#libs/base';
import { packageRoot } from '../package-root.js';
import { roles } from './cast.js';
import { deployAndFollow, type Ending } from './follow.js';
import { printProof } from './proof.js';
import { type Stage, setStage } from './stage.js';
import { Story } from './story.js';

const versionLimitMs = 240_000;

async function play(stage: Stage, story: Story): Promise<boolean> {
  const endings: Ending[] = [];
  for (const role of roles) {
    endings.push(await deployAndFollow(role, { ...stage, story, clock: systemClock, limitMs: versionLimitMs }));
  }
  await stage.traffic.stop();
  story.heading('What happened');
  story.table(endings.map((ending) => ending.row));
  const proven = await printProof(endings, stage, story);
  return proven && endings.every((ending) => ending.row.asExpected);
}

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: { exit: { type: 'boolean', default: false }, data: { type: 'string' }, help: { type: 'boolean', short: 'h', default: false } },
  });
  if (values.help) {
    console.log(
      'npm run demo -- [--exit] [--data DIR]\n\n  --exit      stop when the story is told (default: leave the dashboard running)\n  --data DIR  where the demo keeps its database and logs (default ./data/demo; emptied at start)',
    );
    return 0;
  }
  const story = new Story(systemClock);
  const dataDir = resolve(values.data ?? join(packageRoot(), 'data', 'demo'));
  await rm(dataDir, { recursive: true, force: true });
  await mkdir(dataDir, { recursive: true });

  let stage: Stage;
  try {
    stage = await setStage(dataDir, story);
  } catch (error) {
    story.say(`The stage could not be set: ${error instanceof Error ? error.message : String(error)}`, 'red');
    story.detail(`logs: ${dataDir}`);
    return 1;
  }
  let stopping: Promise<void> | null = null;
  const stop = (): Promise<void> => {
    stopping ??= stage.close();
    return stopping;
  };
  const interrupted = new Promise<'interrupted'>((done) => {
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => done('interrupted'));
  });
  try {
    const good = await Promise.race([play(stage, story), interrupted]);
    if (good === 'interrupted') return 130;
    if (!values.exit) {
      story.heading('Everything is still running');
      console.log(
        `  dashboard  ${stage.dashboardUrl}\n  gateway    ${stage.gatewayUrl}/v1   (model "support", key in ${join(dataDir, 'admin-key')})\n  logs       ${dataDir}\n\n  Ctrl-C ends it.`,
      );
      await interrupted;
    }
    return good ? 0 : 1;
  } catch (error) {
    story.say(error instanceof Error ? error.message : String(error), 'red');
    story.detail(`logs: ${dataDir}`);
    return 1;
  } finally {
    await stop();
  }
}

process.exitCode = await main();
// Nothing may keep the process alive once the stage is struck; a forgotten handle must not hang a build.
setTimeout(() => process.exit(), 2_000).unref();
