// Test sets and their frozen versions.
import type { EntityManager } from 'typeorm';
import { row } from './rows.js';

export interface TestSetVersionRow {
  readonly id: string;
  readonly name: string;
  readonly number: number;
  readonly digest: string;
  readonly caseCount: number;
}

export class TestSetStore {
  /** The newest frozen version of a test set by name; null when there is none. */
  async newest(tx: EntityManager, name: string): Promise<TestSetVersionRow | null> {
    return await row(
      tx,
      `select v.id, s.name, v.number, v.digest, v.case_count as "caseCount"
       from test_set_versions v join test_sets s on s.id = v.test_set_id where s.name = $1 order by v.number desc limit 1`,
      [name],
    );
  }
}
