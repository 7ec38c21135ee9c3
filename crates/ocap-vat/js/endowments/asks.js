// What the vat asks of the kernel's host: time to pass, a page of the network. The outcome arrives
// as a delivery of its own; nothing of it outlives the incarnation.
(kit) => {
  const { Error, Promise, RangeError, Reflect, String } = globalThis;
  const { apply } = Reflect;
  const { then: PromiseThen } = Promise.prototype;

  // The kernel takes as many.
  const ASKS_MAX = 1_000;
  const settled = Promise.resolve();
  let waiting = 0;

  // `what(vref)` makes the syscall. One of the callbacks is called, in a turn of its own.
  const ask = (what, onDone, onFailed) => {
    if (waiting >= ASKS_MAX) {
      throw RangeError(`at most ${ASKS_MAX} timers and requests may be under way at once`);
    }
    const vref = `p+${kit.nextPromise()}`;
    what(vref);
    waiting += 1;
    const after = (callback) => (value) => {
      waiting -= 1;
      apply(PromiseThen, settled, [() => callback(value)]);
    };
    kit.awaitOutcome(vref, after(onDone), after(onFailed));
    return vref;
  };

  // Neither callback is called any more.
  const withdraw = (vref) => {
    if (!kit.forgetOutcome(vref)) return;
    waiting -= 1;
    kit.native.withdraw(vref);
  };

  // What is wrong with an outcome, in the words of the host.
  const reasonOf = (reason) => (reason instanceof Error ? reason.message : String(reason));

  kit.ask = ask;
  kit.withdraw = withdraw;
  kit.reasonOf = reasonOf;
};
