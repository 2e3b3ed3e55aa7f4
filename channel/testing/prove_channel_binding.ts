/**
 * Proves the channel binding in a process of its own, whose environment the test chooses.
 *
 * @module
 */
import { proveChannelBinding } from "../finished.ts";

await proveChannelBinding();
