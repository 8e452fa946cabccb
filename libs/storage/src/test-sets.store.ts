// Test sets and their frozen versions: named, numbered, told apart by the digest of their cases.
import type { EntityManager } from 'typeorm';
import { fail, type Outcome, ok } from '#libs/base';
import { canonicalJson, sha256Hex } from './digest.js';
import { json, row, rows, touched } from './rows.js';

export interface TestSetRow {
  readonly id: string;
  readonly name: string;
  readonly createdAt: number;
}

export interface TestSetVersionRow {
  readonly id: string;
  readonly name: string;
  readonly number: number;
  readonly digest: string;
  readonly caseCount: number;
  readonly createdBy: string;
  readonly createdAt: number;
}

/** A case as stored. What its content means is the business of scoring. */
export interface TestCaseRow {
  readonly idx: number;
  readonly content: unknown;
}

const insertChunk = 500;
const versionColumns = `v.id, s.name, v.number, v.digest, v.case_count as "caseCount", v.created_by as "createdBy",
  (extract(epoch from v.created_at) * 1000)::float8 as "createdAt"`;
const versionSource = 'test_set_versions v join test_sets s on s.id = v.test_set_id';
const setColumns = `id, name, (extract(epoch from created_at) * 1000)::float8 as "createdAt"`;

/** SHA-256 over the cases as canonical JSON lines: the same cases in the same order have the same digest, however they were written. */
export function testSetDigest(cases: readonly unknown[]): string {
  return sha256Hex(cases.map((one) => `${canonicalJson(one)}\n`).join(''));
}

export class TestSetStore {
  /** Fault `test-set.name-taken`. */
  async create(tx: EntityManager, set: { readonly id: string; readonly name: string }): Promise<Outcome<TestSetRow>> {
    const added = await row<TestSetRow>(
      tx,
      `insert into test_sets (id, name) values ($1, $2) on conflict (name) do nothing returning ${setColumns}`,
      [set.id, set.name],
    );
    if (added) return ok(added);
    return fail({
      code: 'test-set.name-taken',
      message: `There is a test set "${set.name}" already.`,
      field: 'name',
      remedy: `Add a version to it with POST /api/v1/test-sets/${encodeURIComponent(set.name)}/versions, or choose another name.`,
    });
  }

  async byName(tx: EntityManager, name: string): Promise<TestSetRow | null> {
    return await row(tx, `select ${setColumns} from test_sets where name = $1`, [name]);
  }

  /** By name, after a name. */
  async list(tx: EntityManager, { after, limit }: { readonly after: string; readonly limit: number }): Promise<TestSetRow[]> {
    return await rows(tx, `select ${setColumns} from test_sets where name > $1 order by name limit $2`, [after, limit]);
  }

  /** The newest frozen version of a test set by name; null when there is none. */
  async newest(tx: EntityManager, name: string): Promise<TestSetVersionRow | null> {
    return await row(tx, `select ${versionColumns} from ${versionSource} where s.name = $1 order by v.number desc limit 1`, [name]);
  }

  /** Newest first, at most 200. */
  async versions(tx: EntityManager, testSetId: string): Promise<TestSetVersionRow[]> {
    return await rows(tx, `select ${versionColumns} from ${versionSource} where s.id = $1 order by v.number desc limit 200`, [testSetId]);
  }

  /**
   * Freezes cases as the next version. Cases that are frozen already (same digest) answer that version, `created` false.
   * Holds the set's row until the transaction ends, so that numbers have no gaps and no twins. The set must exist.
   */
  async freeze(
    tx: EntityManager,
    version: {
      readonly id: string;
      readonly testSetId: string;
      readonly cases: readonly { readonly id: string }[];
      readonly createdBy: string;
    },
  ): Promise<{ readonly version: TestSetVersionRow; readonly created: boolean }> {
    const digest = testSetDigest(version.cases);
    await tx.query('select 1 from test_sets where id = $1 for update', [version.testSetId]);
    const known = await row<TestSetVersionRow>(tx, `select ${versionColumns} from ${versionSource} where s.id = $1 and v.digest = $2`, [
      version.testSetId,
      digest,
    ]);
    if (known) return { version: known, created: false };
    await tx.query(
      `insert into test_set_versions (id, test_set_id, number, digest, case_count, created_by)
       select $1, $2::uuid, coalesce(max(number), 0) + 1, $3, $4, $5 from test_set_versions where test_set_id = $2::uuid`,
      [version.id, version.testSetId, digest, version.cases.length, version.createdBy],
    );
    for (let from = 0; from < version.cases.length; from += insertChunk) {
      const chunk = version.cases.slice(from, from + insertChunk);
      const stored = await touched(
        tx,
        `insert into test_cases (test_set_version_id, idx, external_id, content)
         select $1, $2 + n - 1, one ->> 'id', one from jsonb_array_elements($3::jsonb) with ordinality as list(one, n) returning idx`,
        [version.id, from, json(chunk)],
      );
      if (stored !== chunk.length) throw new Error(`stored ${stored} of ${chunk.length} cases`);
    }
    const frozen = await row<TestSetVersionRow>(tx, `select ${versionColumns} from ${versionSource} where v.id = $1`, [version.id]);
    if (!frozen) throw new Error('a test set version vanished inside its transaction');
    return { version: frozen, created: true };
  }

  /** All cases of a frozen version, in order. */
  async cases(tx: EntityManager, versionId: string): Promise<TestCaseRow[]> {
    return await rows(tx, 'select idx, content from test_cases where test_set_version_id = $1 order by idx', [versionId]);
  }
}
