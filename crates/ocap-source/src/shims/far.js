// Remotables as `@endo/pass-style` marks them.
import { E } from '@endo/eventual-send';

const style = Symbol.for('passStyle');

const Far = (name, methods = {}) => {
  const tag = { value: `Alleged: ${name}`, enumerable: false };
  const mark = { value: 'remotable', enumerable: false };
  const proto = Object.create(Object.getPrototypeOf(methods), {
    [style]: mark,
    [Symbol.toStringTag]: tag,
  });
  return harden(Object.setPrototypeOf(methods, harden(proto)));
};

const getInterfaceOf = value =>
  Object(value) === value && value[style] === 'remotable' ? value[Symbol.toStringTag] : undefined;
harden(Far);
harden(getInterfaceOf);

export { E, Far, getInterfaceOf };
