// Row 8: upstreams that die in the middle of a stream. Can the client tell it from success, and is the right version blamed?
import { sleep, until } from '../clock.mjs';
import { line } from '../goals.mjs';
import { encode, headerOf, Wire } from '../load/wire.mjs';
import { chat } from '../requests.mjs';
import { register, startRollout, upstreamSpec } from '../serin/rollouts.mjs';
import { withScene } from './scene.mjs';

const atOnce = 32;
const flushLimitMs = 15_000;
const manners = ['dies-in-stream', 'ends-in-stream', 'error-in-stream'];

/** Responses and errors that the windows hold, by version id. */
async function counted(database) {
  const rows = await database.manager.query(
    'select version_id as id, sum(responses)::int as responses, sum(errors)::int as errors, sum(timeouts)::int as timeouts from windows group by 1',
  );
  return Object.fromEntries(rows.map(({ id, ...counts }) => [id, counts]));
}

export const deathRow = {
  row: 8,
  title: 'upstream deaths in mid-stream',
  run: async ({ quick }) => {
    const wanted = quick ? 100 : 1_000;
    let model = null;
    const prepare = async ({ database, upstreamPort }) => {
      // Stable dies, the candidate is well: only the candidate has a breaker, which would end the experiment.
      model = await register(
        database,
        'fragile',
        { dies: upstreamSpec(upstreamPort, 'mock'), well: upstreamSpec(upstreamPort, 'mock-good') },
        'dies',
      );
      return (await startRollout(database, model, 'well', 0.5)).generation;
    };
    return await withScene({ prepare }, async (scene) => {
      const { port, path, headers, database } = scene;
      const tally = { deaths: 0, told: 0, wellAnswers: 0, wellBroken: 0, unexpected: [] };
      let asked = 0;
      const client = async () => {
        while (tally.deaths < wanted) {
          const wire = new Wire(port);
          // The upstream dies for the version that is called "mock" only.
          const note = `only:mock do:${manners[asked++ % manners.length]}`;
          const answer = await wire.ask(encode({ path, headers, body: chat({ model: 'fragile', stream: true, note }) }));
          wire.leave();
          const version = headerOf(answer, 'x-serin-version');
          if (version === 'well') {
            tally.wellAnswers += 1;
            if (!answer.whole || !answer.done) tally.wellBroken += 1;
          } else if (version === 'dies') {
            tally.deaths += 1;
            const looksWell = answer.whole && answer.done && !answer.error;
            const told = !answer.whole || answer.error || answer.status >= 400;
            if (!looksWell && told && !answer.done) tally.told += 1;
          } else if (tally.unexpected.length < 5) {
            tally.unexpected.push(`${answer.status} ${answer.cause}`);
          }
        }
      };
      await Promise.all(Array.from({ length: atOnce }, client));
      const windows = async () => (await counted(database))[model.ids.dies] ?? { errors: 0 };
      await until(async () => (await windows()).errors >= tally.deaths, 'the windows to be written', flushLimitMs).catch(() => undefined);
      await sleep(1_500);
      const all = await counted(database);
      const errors = all[model.ids.dies]?.errors ?? 0;
      const blamed = all[model.ids.well]?.errors ?? 0;
      return {
        ...tally,
        errorsOfTheDying: errors,
        errorsOfTheOther: blamed,
        goals: [
          line(8, `share of ${tally.deaths} deaths that the client can tell from success`, tally.told / tally.deaths, { atLeast: 1 }),
          line(8, 'errors counted against the right version / deaths', errors / tally.deaths, { atLeast: 1 }),
          line(8, 'errors too many, or against the other version', Math.max(0, errors - tally.deaths) + blamed, { atMost: 0 }),
          line(8, `broken answers of the version that is well, of ${tally.wellAnswers}`, tally.wellBroken, { atMost: 0 }),
        ],
      };
    });
  },
};
