/**
 * DER and protobuf as trees of elements. An input is parsed leniently, changed, and written again with correct lengths,
 * so that a change reaches the code behind the check of the outermost length.
 *
 * @module
 */
import { concat } from "../../platform/bytes.ts";
import type { Bytes } from "../../platform/bytes.ts";
import type { Mutation } from "./_byte_mutations.ts";
import { BYTE_MUTATIONS } from "./_byte_mutations.ts";
import type { Random } from "./_random.ts";

/** An element of the tree. */
interface Node {
  /** An identifier octet of DER, or protobuf's field number and wire type. */
  tag: number;
  /** The bytes of the content before the children: the count of unused bits in a BIT STRING. */
  head: Uint8Array;
  /** The elements inside, if the content consists of elements. */
  children?: Node[];
  /** The content, if it does not consist of elements. */
  content: Uint8Array;
  /** Writes a length that is wrong in this way. */
  lie?: "short" | "long" | "indefinite" | "padded" | "huge";
}

/** The encoding of the elements. */
interface Form {
  /** Parses bytes; undefined if they are not elements. */
  readonly read: (bytes: Uint8Array, depth: number) => Node[] | undefined;
  /** Encodes an element. */
  readonly write: (node: Node) => Uint8Array;
  /** Tags that mutations choose from. */
  readonly tags: readonly [number, ...number[]];
}

const MAXIMUM_DEPTH = 20;
const NOTHING: Uint8Array = new Uint8Array();

function contentOf(form: Form, { head, children, content }: Node): Bytes {
  return children === undefined ? concat(content) : concat(head, ...children.map(form.write));
}

const der: Form = {
  tags: [
    0x01,
    0x02,
    0x03,
    0x04,
    0x05,
    0x06,
    0x0a,
    0x0c,
    0x13,
    0x16,
    0x17,
    0x18,
    0x1f,
    0x30,
    0x31,
    0x80,
    0xa0,
    0xa1,
    0xa3,
    0x82,
  ],
  read(bytes, depth) {
    const nodes: Node[] = [];
    for (let offset = 0; offset < bytes.length;) {
      const [tag, first] = [bytes[offset] ?? 0, bytes[offset + 1]];
      if (first === undefined || first === 0x80 || first > 0x83) return undefined;
      const octets = first < 0x80 ? 0 : first - 0x80;
      const start = offset + 2 + octets;
      const length = octets === 0
        ? first
        : bytes.subarray(offset + 2, start).reduce((sum, octet) => sum * 256 + octet, 0);
      if (start + length > bytes.length) return undefined;
      const content = bytes.subarray(start, start + length);
      const headLength = tag === 0x03 && content[0] === 0 ? 1 : 0;
      const mayNest = (tag & 0x20) !== 0 || ((tag === 0x04 || headLength === 1) && length > 2);
      const children = mayNest && depth < MAXIMUM_DEPTH ? der.read(content.subarray(headLength), depth + 1) : undefined;
      nodes.push({
        tag,
        head: content.subarray(0, headLength),
        content,
        ...(children === undefined ? {} : { children }),
      });
      offset = start + length;
    }
    return nodes;
  },
  write(node) {
    const content = contentOf(der, node);
    const length = Math.max(0, content.length + (node.lie === "short" ? -1 : node.lie === "long" ? 1 : 0));
    if (node.lie === "indefinite") return concat(Uint8Array.of(node.tag, 0x80), content, new Uint8Array(2));
    if (node.lie === "huge") return concat(Uint8Array.of(node.tag, 0x84, 0x7f, 0xff, 0xff, 0xff), content);
    if (node.lie === "padded") return concat(Uint8Array.of(node.tag, 0x83, length >> 16, length >> 8, length), content);
    if (length < 0x80) return concat(Uint8Array.of(node.tag, length), content);
    if (length < 0x100) return concat(Uint8Array.of(node.tag, 0x81, length), content);
    if (length < 0x10000) return concat(Uint8Array.of(node.tag, 0x82, length >> 8, length), content);
    return concat(Uint8Array.of(node.tag, 0x83, length >> 16, length >> 8, length), content);
  },
};

const FIXED_BYTES: Readonly<Record<number, number>> = { 1: 8, 5: 4 };

function readVarint(bytes: Uint8Array, offset: number): [value: number, next: number] | undefined {
  let value = 0;
  for (let i = 0; i < 10; i++) {
    const octet = bytes[offset + i];
    if (octet === undefined) return undefined;
    value += (octet & 0x7f) * 2 ** (7 * i);
    if (octet < 0x80) return [value, offset + i + 1];
  }
  return undefined;
}

function varint(value: number): Uint8Array {
  const octets: number[] = [];
  let left = value;
  for (; left >= 0x80; left = Math.floor(left / 0x80)) octets.push(left % 0x80 | 0x80);
  return Uint8Array.from([...octets, left]);
}

const protobuf: Form = {
  tags: [
    0x08,
    0x0a,
    0x0b,
    0x0c,
    0x10,
    0x12,
    0x18,
    0x1a,
    0x20,
    0x22,
    0x2a,
    0x2d,
    0x32,
    0x3a,
    0x42,
    0x49,
    0x7a,
    0x80000002,
  ],
  read(bytes, depth) {
    const nodes: Node[] = [];
    for (let offset = 0; offset < bytes.length;) {
      const [tag, start] = readVarint(bytes, offset) ?? [0, 0];
      const wire = tag % 8;
      if (tag < 8 || wire === 3 || wire === 4 || wire > 5) return undefined;
      const [length, begin] = wire === 2
        ? readVarint(bytes, start) ?? [Infinity, 0]
        : wire === 0
        ? [(readVarint(bytes, start)?.[1] ?? Infinity) - start, start]
        : [FIXED_BYTES[wire] ?? 0, start];
      if (begin + length > bytes.length) return undefined;
      const content = bytes.subarray(begin, begin + length);
      const children = wire === 2 && length > 1 && depth < MAXIMUM_DEPTH
        ? protobuf.read(content, depth + 1)
        : undefined;
      nodes.push({ tag, head: NOTHING, content, ...(children === undefined ? {} : { children }) });
      offset = begin + length;
    }
    return nodes;
  },
  write(node) {
    const content = contentOf(protobuf, node);
    if (node.tag % 8 !== 2) return concat(varint(node.tag), content);
    const { length } = content;
    const said = { short: length - 1, long: length + 1, indefinite: 2 ** 31, padded: length, huge: 2 ** 63 };
    const prefix = node.lie === "padded"
      ? Uint8Array.of(length & 0x7f | 0x80, length >> 7 & 0x7f | 0x80, length >> 14 & 0x7f | 0x80, 0x80, 0)
      : varint(Math.max(0, node.lie === undefined ? length : said[node.lie]));
    return concat(varint(node.tag), prefix, content);
  },
};

/** The position of an element in the tree. */
interface Place {
  readonly siblings: Node[];
  readonly index: number;
  readonly node: Node;
}

function placesOf(nodes: Node[]): Place[] {
  return nodes.flatMap((node, index) => [{ siblings: nodes, index, node }, ...placesOf(node.children ?? [])]);
}

const LIES = ["short", "long", "indefinite", "padded", "huge"] as const;

function change(form: Form, { siblings, index, node }: Place, random: Random, others: readonly Place[]): void {
  const another = random.pick(others)?.node ?? node;
  switch (random.below(12)) {
    case 0:
      siblings.splice(index, 1);
      break;
    case 1:
      siblings.splice(index, 0, ...Array.from({ length: 1 + random.length(80) }, () => structuredClone(node)));
      break;
    case 2: {
      const to = random.below(siblings.length);
      siblings[index] = siblings[to] ?? node;
      siblings[to] = node;
      break;
    }
    case 3:
      siblings[index] = structuredClone(another);
      break;
    case 4:
      siblings.splice(index, 0, structuredClone(another));
      break;
    case 5:
      node.tag = random.pick(form.tags);
      break;
    case 6:
      node.tag ^= 1 << random.below(8);
      break;
    case 7:
      node.lie = random.pick(LIES);
      break;
    case 8: {
      const depth = 1 + random.length(40);
      for (let i = 0; i < depth; i++) {
        const { tag } = node;
        node.children = [{ ...node }];
        node.tag = tag;
      }
      break;
    }
    case 9:
      delete node.children;
      node.content = random.pick(
        [NOTHING, random.bytes(random.length(300)), Uint8Array.of(0), Uint8Array.of(0xff, 0xff)] as const,
      );
      break;
    default: {
      const content = contentOf(form, node);
      delete node.children;
      node.content = random.pick(BYTE_MUTATIONS)(content, random, concat(another.content));
    }
  }
}

function treeMutation(form: Form): Mutation {
  return (bytes, random, other) => {
    const nodes = form.read(bytes, 0);
    if (nodes === undefined) return random.pick(BYTE_MUTATIONS)(bytes, random, other);
    const others = placesOf(form.read(other, 0) ?? []);
    for (let times = random.below(3); times >= 0; times--) {
      const place = random.pick(placesOf(nodes));
      if (place !== undefined) change(form, place, random, others);
    }
    return concat(...nodes.map(form.write));
  };
}

/** Mutates elements of DER. */
export const derMutation: Mutation = treeMutation(der);
/** Mutates fields of protobuf. */
export const protobufMutation: Mutation = treeMutation(protobuf);
