// Who is there right now, where everybody comes and goes once per request.
// Not a Set: a Set that is added to and deleted from leaves one outgrown table after another behind, each pointing to the next and to all that were in
// it. Once the first of them is old, none of them dies before the next full collection, nor does any request that was ever in them.

/** Who can be in a crowd, in one at a time. */
export interface Seated {
  /** Where it sits; -1: nowhere. Written by the crowd alone. */
  seat: number;
}

/** Joins and leaves cost constant time and no garbage. The order is none. */
export class Crowd<Member extends Seated> {
  private readonly seats: Member[] = [];

  get size(): number {
    return this.seats.length;
  }

  /** Members as they sit now; joining or leaving moves them. */
  get members(): readonly Member[] {
    return this.seats;
  }

  /** Nothing happens when it is in already. */
  join(member: Member): void {
    if (member.seat >= 0) return;
    member.seat = this.seats.length;
    this.seats.push(member);
  }

  /** Nothing happens when it is not in. */
  leave(member: Member): void {
    const { seat } = member;
    if (seat < 0) return;
    const last = this.seats.pop();
    if (last !== undefined && last !== member) {
      this.seats[seat] = last;
      last.seat = seat;
    }
    member.seat = -1;
  }
}
