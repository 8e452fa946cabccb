// All migrations, oldest first. Hand-written SQL, up and down.
import { Initial0001 } from './0001-initial.js';
import { KeyLimits0002 } from './0002-key-limits.js';
import { KeyRevision0003 } from './0003-key-revision.js';
import { AllChecks0004 } from './0004-all-checks.js';
import { ControlLoop0005 } from './0005-control-loop.js';
import { PairedWindows0006 } from './0006-paired-windows.js';
import { CountedUnits0007 } from './0007-counted-units.js';
import { Watch0009 } from './0009-watch.js';

export const migrations = [
  Initial0001,
  KeyLimits0002,
  KeyRevision0003,
  AllChecks0004,
  ControlLoop0005,
  PairedWindows0006,
  CountedUnits0007,
  Watch0009,
];
