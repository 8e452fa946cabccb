// Row 11: the split. An independent coin of the right weight in the code that draws it and over HTTP, and units that never go back while the weight grows.
import { randomBytes } from 'node:crypto';
import { line } from '../goals.mjs';
import { encode, headerOf, Wire } from '../load/wire.mjs';
import { chat } from '../requests.mjs';
import { register, rollBack, startRollout, upstreamSpec } from '../serin/rollouts.mjs';
import { chiSquare, runsTest } from './coin.mjs';
import { withScene } from './scene.mjs';

const weights = [0.01, 0.05, 0.5];
const growing = [0.001, 0.01, 0.05, 0.1, 0.25, 0.5, 0.75, 1];
const atOnce = 32;
/** Twelve tests are looked at; one in some 8,000 runs fails by chance at this level. */
const level = 0.00001;
const assignModule = '../../../../dist/apps/gateway/src/routing/assign.js';

function route(weight, salt) {
  return { model: 'm', stable: 'v1', rollout: { id: 'r', candidate: 'v2', weight, epoch: 1, salt } };
}

/** The function that the gateway calls, over fresh random units as it makes them for clients that name none. */
function direct(assign, draws) {
  return weights.map((weight) => {
    const salt = randomBytes(32).toString('hex');
    const outcomes = new Uint8Array(draws);
    for (let at = 0; at < draws; at += 1) {
      outcomes[at] = assign(route(weight, salt), randomBytes(16).toString('hex'), true).arm === 'candidate' ? 1 : 0;
    }
    return tested('in the code', weight, outcomes);
  });
}

function tested(where, weight, outcomes) {
  const hits = outcomes.reduce((sum, one) => sum + one, 0);
  return { where, weight, draws: outcomes.length, hits, chi: chiSquare(hits, outcomes.length, weight), runs: runsTest(outcomes) };
}

/** Units that were with the candidate and are not any more, or were moved twice. */
function changed(assign, units) {
  const salt = randomBytes(32).toString('hex');
  let violations = 0;
  for (let at = 0; at < units; at += 1) {
    let before = false;
    for (const weight of growing) {
      const now = assign(route(weight, salt), `user-${at}`, true).arm === 'candidate';
      if (before && !now) violations += 1;
      before = now;
    }
  }
  return violations;
}

/** Over HTTP: who answered, in the order of asking. `unit`: names the unit of a request, or null. */
async function armsOf({ port, path, headers }, requests, unit = null) {
  const outcomes = new Uint8Array(requests);
  let next = 0;
  const client = async () => {
    let wire = new Wire(port);
    while (next < requests) {
      const at = next++;
      const own = unit === null ? {} : { 'x-serin-unit': unit(at) };
      if (wire.closed) wire = new Wire(port);
      const answer = await wire.ask(
        encode({ path, headers: { ...headers, ...own }, body: chat({ model: 'split', bytes: 300, tokens: 1 }) }),
      );
      if (answer.status !== 200) throw new Error(`request ${at} was answered by ${answer.status} ${answer.cause}`);
      outcomes[at] = headerOf(answer, 'x-serin-version') === 'v2' ? 1 : 0;
    }
    wire.leave();
  };
  await Promise.all(Array.from({ length: atOnce }, client));
  return outcomes;
}

export const assignmentRow = {
  row: 11,
  title: 'assignment',
  run: async ({ quick }) => {
    const draws = quick ? 20_000 : 200_000;
    const requests = quick ? 500 : 4_000;
    const units = quick ? 200 : 1_000;
    const { assign } = await import(assignModule);
    const tests = direct(assign, draws);
    const violations = changed(assign, draws / 10);
    let model = null;
    const prepare = async ({ database, upstreamPort }) => {
      model = await register(database, 'split', { v1: upstreamSpec(upstreamPort, 'mock'), v2: upstreamSpec(upstreamPort, 'mock-b') }, 'v1');
      return 1;
    };
    const overHttp = await withScene({ prepare }, async (scene) => {
      for (const weight of weights) {
        const { id, generation } = await startRollout(scene.database, model, 'v2', weight);
        await scene.gateway.ready(generation);
        tests.push(tested('over HTTP', weight, await armsOf(scene, requests)));
        if (weight === weights.at(-1)) {
          // The same units twice: the same arms, whatever else went on between.
          const [first, second] = [await armsOf(scene, units, (at) => `user-${at}`), await armsOf(scene, units, (at) => `user-${at}`)];
          return first.filter((arm, at) => arm !== second[at]).length;
        }
        await scene.gateway.ready((await rollBack(scene.database, id)).generation);
      }
      return null;
    });
    const worst = (of) => Math.min(...tests.map((one) => one[of].p));
    return {
      tests,
      violations,
      changedOverHttp: overHttp,
      goals: [
        line(11, `chi-square at 1, 5, 50 % over ${draws} draws and ${requests} requests: smallest p`, worst('chi'), { atLeast: level }),
        line(11, 'runs test over the same: smallest p', worst('runs'), { atLeast: level }),
        line(11, `moves back of ${draws / 10} units while the weight grew in ${growing.length} steps`, violations, { atMost: 0 }),
        line(11, `units of ${units} that changed arm over HTTP at one weight`, overHttp, { atMost: 0 }),
      ],
    };
  },
};
