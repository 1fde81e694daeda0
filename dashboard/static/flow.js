// How many dots, from the real rates: a dot is a message while there are few, and stands for many when there are not.

const PLAIN_RATE = 3;
const MOST_RATE = 6;
const SMOOTHING = 0.35;

/** Dots per second for so many messages per second. */
function dotRate(rate) {
  return rate <= PLAIN_RATE ? rate : Math.min(PLAIN_RATE + Math.log2(rate / PLAIN_RATE) * 0.5, MOST_RATE);
}

/** Turns rates into moments: `due(seconds)` says how many dots are to start now. */
export class Flow {
  constructor() {
    this.rate = 0;
    this.credit = 0;
  }

  steer(rate) {
    this.rate = this.rate && rate ? this.rate + (rate - this.rate) * SMOOTHING : rate;
  }

  due(seconds, scale) {
    this.credit = Math.min(this.credit + this.rate * scale * seconds, 2);
    const whole = Math.floor(this.credit);
    this.credit -= whole;
    return whole;
  }
}

/** What part of a dot one message is, given the busiest of these rates. */
export function scaleOf(...rates) {
  const busiest = Math.max(...rates);
  return busiest > 0 ? dotRate(busiest) / busiest : 1;
}
