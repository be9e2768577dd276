// CRC-32C (Castagnoli, RFC 3720), and the masked form in which TFRecord files keep it.

/** What each byte does to the remainder; bits are reflected. */
const table = Uint32Array.from({ length: 256 }, (_, byte) => {
  let remainder = byte;
  for (let bit = 0; bit < 8; bit++) {
    remainder = remainder & 1 ? (remainder >>> 1) ^ 0x82f63b78 : remainder >>> 1;
  }
  return remainder;
});

/** CRC-32C of bytes, as an unsigned number. */
export function crc32c(bytes: Uint8Array): number {
  let remainder = 0xffffffff;
  for (const byte of bytes) remainder = table[(remainder ^ byte) & 255] ^ (remainder >>> 8);
  return ~remainder >>> 0;
}

/** The same as TFRecord files keep it: rotated and shifted, since a CRC of data that holds its own CRC tells little. */
export function maskedCrc32c(bytes: Uint8Array): number {
  const crc = crc32c(bytes);
  return ((crc >>> 15 | crc << 17) + 0xa282ead8) >>> 0;
}
