// Look-ups into the routing table, indexed once per table instead of searched once per request.
import type { Route, RoutingTable, ServedVersion } from '#libs/rollout';

interface Index {
  readonly routes: ReadonlyMap<string, Route>;
  readonly versions: ReadonlyMap<string, ServedVersion>;
}

const indexes = new WeakMap<RoutingTable, Index>();

function labelKey(model: string, label: string): string {
  return `${model}\n${label}`;
}

function indexOf(table: RoutingTable): Index {
  let index = indexes.get(table);
  if (!index) {
    index = {
      routes: new Map(table.routes.map((route) => [route.model, route])),
      versions: new Map(Object.values(table.versions).map((version) => [labelKey(version.model, version.label), version])),
    };
    indexes.set(table, index);
  }
  return index;
}

export function routeOf(table: RoutingTable, model: string): Route | null {
  return indexOf(table).routes.get(model) ?? null;
}

/** A version that this gateway must hold, by its label. */
export function versionOf(table: RoutingTable, model: string, label: string): ServedVersion | null {
  return indexOf(table).versions.get(labelKey(model, label)) ?? null;
}
