import * as v from "valibot";
import { time, unsigned } from "./intel_json.ts";
import { type IsvLevel, TCB_STATUSES, type TcbStatus } from "./tcb_status.ts";

/** The entries that every level has in addition to its `tcb`. */
export const levelEntries: {
  readonly tcbDate: v.GenericSchema<unknown, Date>;
  readonly tcbStatus: v.GenericSchema<unknown, TcbStatus>;
  readonly advisoryIDs: v.GenericSchema<unknown, readonly string[]>;
} = {
  tcbDate: time,
  tcbStatus: v.picklist(TCB_STATUSES),
  advisoryIDs: v.optional(v.array(v.pipe(v.string(), v.regex(/^[A-Z0-9-]{1,64}$/))), []),
};

/** The levels of one program. At least one. */
export const isvLevels: v.GenericSchema<unknown, readonly IsvLevel[]> = v.pipe(
  v.array(
    v.pipe(
      v.object({ tcb: v.object({ isvsvn: unsigned(0xffff) }), ...levelEntries }),
      v.transform(({ tcb, tcbStatus, advisoryIDs }): IsvLevel => ({
        isvSvn: tcb.isvsvn,
        status: tcbStatus,
        advisoryIds: advisoryIDs,
      })),
    ),
  ),
  v.minLength(1),
);
