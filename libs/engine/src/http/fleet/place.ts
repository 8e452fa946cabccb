// A granted lease: counts at its endpoint until its one end.
import type { Seated } from '#libs/base';
import type { Connection } from '../connection.js';
import type { Endpoint } from './endpoint.js';
import { isShadow, type Lease, type LeaseRequest, type LeaseResult } from './lease.js';

/** The fleet's side of it. */
export interface Landlord {
  began(place: Place, ttftMs: number): void;
  ended(place: Place, result: LeaseResult): void;
  /** Takes the right to one more sending of a request; false when retries have had their share. */
  spare(): boolean;
  /** Another place for the same request, elsewhere. */
  again(place: Place): Lease | null;
}

export class Place implements Lease, Seated {
  lost: (() => void) | null = null;
  /** Among all that run. */
  seat = -1;
  private begun = false;
  private resent = false;
  private over = false;

  constructor(
    private readonly landlord: Landlord,
    readonly endpoint: Endpoint,
    readonly request: LeaseRequest,
    readonly waitedMs: number,
    readonly grantedAtMs: number,
    /** It is the second try of its request. */
    private readonly second: boolean,
  ) {}

  get tokens(): number {
    return this.request.tokens;
  }

  /** How a shadow fares says nothing of what users get: it is neither tried again nor held against its endpoint. */
  get unjudged(): boolean {
    return isShadow(this.request);
  }

  /** Nothing has come back yet. */
  get silent(): boolean {
    return !this.begun;
  }

  get connection(): Connection {
    return this.endpoint.connection;
  }

  get name(): string {
    return this.endpoint.name;
  }

  firstByte(ttftMs: number): void {
    if (this.begun || this.over) return;
    this.begun = true;
    this.landlord.began(this, ttftMs);
  }

  done(result: LeaseResult): void {
    if (this.over) return;
    this.over = true;
    this.lost = null;
    this.landlord.ended(this, result);
  }

  resend(): boolean {
    const may = !this.begun && !this.over && !this.resent && !this.unjudged;
    if (!may || !this.landlord.spare()) return false;
    this.resent = true;
    return true;
  }

  retry(result: 'failed' | 'refused'): Lease | null {
    const may = !this.begun && !this.second && !this.over && !this.unjudged;
    // Found before this one's place is free: what waits longer takes that.
    const next = may ? this.landlord.again(this) : null;
    this.done(result);
    return next;
  }
}
