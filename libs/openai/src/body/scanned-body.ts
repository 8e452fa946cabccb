// A request body as bytes with the places of its top-level members: what is routed by and what is sent on are the same bytes.

export type JsonKind = 'string' | 'number' | 'boolean' | 'null' | 'array' | 'object';

/** One top-level member. All places are byte offsets into the body, `to` and `end` exclusive. */
export interface BodyMember {
  /** Unescaped. */
  readonly name: string;
  readonly kind: JsonKind;
  /** The quote that opens the name. */
  readonly at: number;
  readonly valueFrom: number;
  readonly valueTo: number;
}

export interface ScannedBody {
  readonly bytes: Buffer;
  /** In the order of the body; no name occurs twice. */
  readonly members: readonly BodyMember[];
  /** Undefined when the body has no such member. */
  member(name: string): BodyMember | undefined;
  /** The member's value as JSON.parse gives it; undefined when there is none. Costs a parse of that value alone. */
  value(name: string): unknown;
  /** The body as JSON.parse gives it. Costs a parse of all of it. */
  whole(): unknown;
}
