// WebGPU devices that a program opens, for tests that take one away behind the program's back as a failing driver does.

/** What {@linkcode openedDevices} gives; disposing of it lets `requestDevice` be as it was. */
export interface OpenedDevices extends Disposable {
  /** Those opened since, oldest first. */
  readonly devices: readonly GPUDevice[];
}

/** Notes every device that is opened from now on. */
export function openedDevices(): OpenedDevices {
  const devices: GPUDevice[] = [];
  const prototype = GPUAdapter.prototype;
  const { requestDevice } = prototype;
  prototype.requestDevice = async function (descriptor) {
    const device = await requestDevice.call(this, descriptor);
    devices.push(device);
    return device;
  };
  return { devices, [Symbol.dispose]: () => void (prototype.requestDevice = requestDevice) };
}
