// The processes of a port tell each other which units they have counted: of a user whose requests reach several, one answer counts, not one in each.
import { FirstAnswers } from '../routing/first-answers.js';

/** Places of counted units by rollout id, as sent between processes. */
export interface CountedUnits {
  readonly counted: Readonly<Record<string, readonly number[]>>;
}

export function isCountedUnits(message: unknown): message is CountedUnits {
  return typeof message === 'object' && message !== null && 'counted' in message;
}

/** What one process knows of units. News go out once per turn of the event loop; until they have arrived another may count the same unit. */
export class SharedFirstAnswers {
  readonly answers = new FirstAnswers((rolloutId, place) => this.note(rolloutId, place));
  private news: Record<string, number[]> | null = null;

  constructor(private readonly send: (news: CountedUnits) => void) {}

  hear({ counted }: CountedUnits): void {
    for (const [rolloutId, places] of Object.entries(counted)) {
      for (const place of places) this.answers.heard(rolloutId, place);
    }
  }

  private note(rolloutId: string, place: number): void {
    if (this.news === null) {
      this.news = {};
      setImmediate(() => this.flush());
    }
    const places = this.news[rolloutId];
    if (places) places.push(place);
    else this.news[rolloutId] = [place];
  }

  private flush(): void {
    const counted = this.news ?? {};
    this.news = null;
    this.send({ counted });
  }
}
