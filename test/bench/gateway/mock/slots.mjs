// An upstream with a capacity: so many answers at a time, each of a fixed length, the rest waits in order of arrival as in a real engine.

export class Slots {
  constructor(count, serviceMs) {
    this.free = count;
    this.serviceMs = serviceMs;
    this.waiting = [];
    this.served = 0;
    this.mostWaiting = 0;
  }

  serve(response, answer) {
    this.waiting.push({ response, answer });
    this.mostWaiting = Math.max(this.mostWaiting, this.waiting.length);
    this.fill();
  }

  fill() {
    while (this.free > 0 && this.waiting.length > 0) {
      const { response, answer } = this.waiting.shift();
      if (response.destroyed) continue;
      this.free -= 1;
      let held = true;
      const release = () => {
        if (!held) return;
        held = false;
        this.free += 1;
        this.fill();
      };
      const timer = setTimeout(() => {
        this.served += 1;
        answer();
      }, this.serviceMs);
      response.once('close', () => {
        clearTimeout(timer);
        release();
      });
    }
  }

  figures() {
    return { served: this.served, waiting: this.waiting.length, mostWaiting: this.mostWaiting };
  }
}
