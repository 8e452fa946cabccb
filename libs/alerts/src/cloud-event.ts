// The body of an outgoing webhook: CloudEvents 1.0, structured JSON.

export const cloudEventContentType = 'application/cloudevents+json; charset=utf-8';
const typePrefix = 'serin.';

/** Event types that leave by webhook, as endpoints subscribe to them. In the event they carry the prefix `serin.`. */
export const eventTypes = [
  'model.stable_set',
  'model.version_registered',
  'model.drifted',
  'model.heartbeat_failed',
  'model.reverted',
  'rollout.created',
  'rollout.gating',
  'rollout.shadowing',
  'rollout.started',
  'rollout.weight_changed',
  'rollout.baking',
  'rollout.paused',
  'rollout.resumed',
  'rollout.promoted',
  'rollout.rolled_back',
  'rollout.aborted',
  'endpoint.disabled',
] as const;

/** Sent on demand to one endpoint, whatever it subscribed to. */
export const testEventType = 'endpoint.test';

export interface CloudEvent {
  readonly specversion: '1.0';
  /** Unique per source and the same over retries: what receivers deduplicate by. */
  readonly id: string;
  readonly source: string;
  readonly type: string;
  readonly subject: string;
  /** RFC 3339, UTC. */
  readonly time: string;
  readonly datacontenttype: 'application/json';
  readonly data: Readonly<Record<string, unknown>>;
}

/** `type` without prefix; `source` is the URL of this installation; `atMs` milliseconds since the Unix epoch. */
export function cloudEvent(event: {
  readonly id: string;
  readonly type: string;
  readonly source: string;
  readonly subject: string;
  readonly atMs: number;
  readonly data: Readonly<Record<string, unknown>>;
}): CloudEvent {
  return {
    specversion: '1.0',
    id: event.id,
    source: event.source,
    type: typePrefix + event.type,
    subject: event.subject,
    time: new Date(event.atMs).toISOString(),
    datacontenttype: 'application/json',
    data: event.data,
  };
}
