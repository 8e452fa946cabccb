// Ends this process when the one that started it is gone, even while a computation without an end holds the event loop.
import koffi from 'koffi';

const setParentDeathSignal = 1;
const sigkill = 9;

/**
 * Asks the kernel for SIGKILL on the parent's death (prctl(2), `PR_SET_PDEATHSIG`). Linux only; elsewhere the closed channel to the parent ends a
 * child, which takes a turn of its event loop. `startedBy`: the parent's pid when this process began. Throws when the kernel refuses. Cost: one call.
 */
export function dieWithParent(startedBy: number): void {
  if (process.platform !== 'linux') return;
  const prctl = koffi.load(null).func('int prctl(int option, unsigned long a, unsigned long b, unsigned long c, unsigned long d)');
  if (prctl(setParentDeathSignal, sigkill, 0, 0, 0) !== 0) throw new Error('prctl(PR_SET_PDEATHSIG) failed');
  // A parent that died before the call sends no signal any more.
  if (process.ppid !== startedBy) process.kill(process.pid, 'SIGKILL');
}
