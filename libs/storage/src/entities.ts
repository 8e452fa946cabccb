// The entities of the registry: tables that are read and written row by row. Busy tables (windows, rollouts, outbox) are plain SQL in their stores.
import { Column, Entity, PrimaryColumn } from 'typeorm';

@Entity({ name: 'models' })
export class ModelRow {
  @PrimaryColumn('uuid') id: string;
  @Column('text') name: string;
  @Column({ type: 'uuid', name: 'stable_version_id', nullable: true }) stableVersionId: string | null;
  @Column({ type: 'jsonb', name: 'default_plan' }) defaultPlan: Record<string, unknown>;
  /** Grows with every change: the ETag of the resource. */
  @Column('integer') revision: number;
  @Column({ type: 'timestamptz', name: 'created_at', insert: false, update: false }) createdAt: Date;
}

@Entity({ name: 'versions' })
export class VersionRow {
  @PrimaryColumn('uuid') id: string;
  @Column({ type: 'uuid', name: 'model_id' }) modelId: string;
  @Column('text') label: string;
  /** Content digest, 64 hex digits. */
  @Column('text') digest: string;
  @Column('jsonb') spec: Record<string, unknown>;
  @Column('jsonb') lineage: Record<string, string>;
  @Column({ type: 'text', name: 'created_by' }) createdBy: string;
  @Column({ type: 'timestamptz', name: 'created_at', insert: false, update: false }) createdAt: Date;
}

@Entity({ name: 'api_keys' })
export class ApiKeyRow {
  @PrimaryColumn('uuid') id: string;
  @Column('text') name: string;
  /** First characters of the key text, for people to tell keys apart. */
  @Column('text') prefix: string;
  /** SHA-256 of the key text. */
  @Column('bytea') hash: Buffer;
  @Column({ type: 'text', array: true }) scopes: string[];
  @Column({ type: 'timestamptz', name: 'created_at', insert: false, update: false }) createdAt: Date;
  @Column({ type: 'timestamptz', name: 'expires_at', nullable: true }) expiresAt: Date | null;
  @Column({ type: 'timestamptz', name: 'revoked_at', nullable: true }) revokedAt: Date | null;
}

/** Everything the data source must know; listed by hand so that no file search decides it. */
export const entities = [ModelRow, VersionRow, ApiKeyRow] as const;
