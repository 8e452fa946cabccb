// Which version a request goes to: by the coin of the route, or the one that is named.
import type { Rng } from '#libs/base';
import type { EngineCapabilities } from '#libs/engine';
import { openAiError } from '#libs/openai';
import type { Route, ServedVersion } from '#libs/rollout';
import type { EnginePool, Served } from '../engines/pool.js';
import { type Assignment, assign, type Serving } from '../routing/assign.js';
import type { Snapshot } from '../routing/snapshot.js';
import { routeOf, versionOf } from '../routing/table-index.js';
import { type Checked, good, refuse } from './checked.js';
import { type Need, unmetNeed } from './needs.js';

export interface Placement {
  readonly route: Route;
  readonly assignment: Assignment;
  readonly unit: string;
  /** The unit is more than this request. */
  readonly named: boolean;
  readonly pinned: boolean;
}

export interface PlacementParts {
  readonly snapshot: Snapshot;
  readonly pool: EnginePool;
}

export function findRoute({ snapshot }: PlacementParts, model: string): Checked<Route> {
  const route = routeOf(snapshot.table, model);
  if (route) return good(route);
  return refuse(openAiError('model_not_found', `There is no model "${model}". GET /v1/models lists them.`, { param: 'model' }));
}

export function findVersion({ snapshot }: PlacementParts, model: string, label: string, param: string): Checked<ServedVersion> {
  const version = versionOf(snapshot.table, model, label);
  if (version) return good(version);
  const remedy = 'Name one in service, in a rollout or under evaluation.';
  return refuse(
    openAiError('version_not_found', `Version "${label.slice(0, 100)}" of "${model}" is not loaded here. ${remedy}`, { param }),
  );
}

/** `needs` are asked of all arms of a rollout, so that the coin never decides whether a request is valid. */
export function place(
  parts: PlacementParts & { readonly rng: Rng },
  { model, unitOf, pin, needs }: { model: string; unitOf: (route: Route) => string | null; pin: string | null; needs: readonly Need[] },
): Checked<Placement> {
  const { pool } = parts;
  const route = findRoute(parts, model);
  if (!route.ok) return route;
  const { stable, rollout } = route.value;
  const pinned = pin === null ? null : findVersion(parts, model, pin, 'x-serin-version');
  if (pinned && !pinned.ok) return pinned;
  const error =
    needs.length === 0
      ? null
      : unmetNeed(needs, capabilitiesOf(pool, pinned ? [pinned.value.id] : [stable, rollout?.candidate, rollout?.control?.version]));
  if (error) return refuse(error);

  const named = unitOf(route.value);
  const unit = named ?? Buffer.from(parts.rng.bytes(16)).toString('hex');
  const assignment: Assignment | null = pinned
    ? { versionId: pinned.value.id, arm: null, rolloutId: null, epoch: null }
    : assign(route.value, unit, servingOf(rollout, pool));
  if (!assignment) return refuse(notInService(model));
  return good({ route: route.value, assignment, unit, named: named !== null, pinned: pinned !== null });
}

function servingOf(rollout: Route['rollout'], pool: EnginePool): Serving {
  if (rollout === null || rollout.weight <= 0) return nobody;
  const candidate = pool.serves(rollout.candidate);
  return candidate && !rollout.control
    ? candidateAlone
    : { candidate, control: rollout.control ? pool.serves(rollout.control.version) : false };
}

const nobody: Serving = { candidate: false, control: false };
const candidateAlone: Serving = { candidate: true, control: false };

/** Without a coin: vectors and scores of two versions do not mix, so stable answers unless a version is named. */
export function placeOnOne(
  parts: PlacementParts,
  { model, pin, param = 'x-serin-version' }: { model: string; pin: string | null; param?: string },
): Checked<ReadyVersion> {
  const route = findRoute(parts, model);
  if (!route.ok) return route;
  const version = pin === null ? null : findVersion(parts, model, pin, param);
  if (version && !version.ok) return version;
  const id = version ? version.value.id : route.value.stable;
  if (id === null) return refuse(notInService(model));
  const served = parts.pool.find(id);
  if (served?.engine) return good({ ...served, engine: served.engine });
  return refuse(openAiError('model_not_ready', 'The version is not loaded yet. Try again in a moment.', { param, retryAfterS: 2 }));
}

/** A version with its engine. */
export type ReadyVersion = Served & { readonly engine: NonNullable<Served['engine']> };

function notInService(model: string) {
  return openAiError('model_not_ready', `Model "${model}" has no version in service yet.`, { param: 'model', retryAfterS: 5 });
}

function capabilitiesOf(pool: EnginePool, ids: readonly (string | null | undefined)[]): EngineCapabilities[] {
  return ids.flatMap((id) => {
    const engine = typeof id === 'string' ? pool.find(id)?.engine : null;
    return engine ? [engine.capabilities()] : [];
  });
}
