-- Counts calls against the limits of one organization, several calls in one round trip, all or nothing
-- per call. A limit is on a sliding minute in 30 slices: what is counted leaves when its slice is a
-- minute old, so no 60 seconds ever hold more than the limit. The clock is the server's, one for all.
-- KEYS: of each subject its window (hash: n newest slice used, r and t sums, r0… t0… per slice) and
-- then its streams (sorted set of leases by the instant they run out). All carry the tag {organization}.
-- ARGV[1]: msgpack [minute in ms, lease in ms, [item…]], k is the place of a subject in KEYS:
--   [1, tokens, lease or "", [[k, requests, tokens, streams]…]]  take; a limit of -1 is none
--   [2, slice, [[k, difference]…]]                               the tokens came out differently
--   [3, lease, [k…]]  the stream has ended        [4, lease, [k…]]  the stream goes on
-- Answers msgpack, for a take [exceeded: 0 nothing 1 requests 2 tokens 3 streams, wait in ms, slice,
-- requests: limit, left, reset in ms, tokens: limit, left, reset in ms of the tightest subject, place of
-- the subject that is exceeded or 0], else 0.
local SLICES = 30
local SLOTS = SLICES + 1
local asked = cmsgpack.unpack(ARGV[1])
local minute, lease_ms, items = asked[1], asked[2], asked[3]
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local width = minute / SLICES
local current = math.floor(now / width)
local slot = current % SLOTS
local windows = {}

local function number(value)
  return tonumber(value) or 0
end

local function forget(w, used)
  local fields = {}
  for slice = used - SLICES, current - SLOTS do
    fields[#fields + 1] = 'r' .. slice % SLOTS
    fields[#fields + 1] = 't' .. slice % SLOTS
  end
  local counts = redis.call('HMGET', w.key, unpack(fields))
  for i = 1, #counts, 2 do
    w.r = w.r - number(counts[i])
    w.t = w.t - number(counts[i + 1])
  end
  w.old = fields
end

local function window(k)
  local w = windows[k]
  if w then return w end
  local kept = redis.call('HMGET', KEYS[k], 'n', 'r', 't', 'r' .. slot, 't' .. slot)
  local used = number(kept[1])
  w = {key = KEYS[k], used = used, r = number(kept[2]), t = number(kept[3]), here_r = 0, here_t = 0}
  if used >= current and used - current <= SLICES then
    w.used = current
    w.here_r, w.here_t = number(kept[4]), number(kept[5])
  elseif used > current or used <= current - SLOTS then
    w.r, w.t, w.is_over = 0, 0, true
  else
    forget(w, used)
  end
  windows[k] = w
  return w
end

local function write(w)
  if w.is_over then redis.call('DEL', w.key) end
  if w.old then redis.call('HDEL', w.key, unpack(w.old)) end
  redis.call('HSET', w.key, 'n', current, 'r', w.r, 't', w.t, 'r' .. slot, w.here_r, 't' .. slot, w.here_t)
  redis.call('PEXPIRE', w.key, minute * 2)
end

local function leaves(slice)
  return math.max(0, (slice + SLOTS) * width - now)
end

local function wait(w, letter, excess)
  local fields = {}
  for slice = current - SLICES, current do fields[#fields + 1] = letter .. slice % SLOTS end
  local counts = redis.call('HMGET', w.key, unpack(fields))
  for i = 1, SLOTS do
    local slice = current - SLICES + i - 1
    if slice <= w.used and not w.is_over then
      excess = excess - number(counts[i])
      if excess <= 0 then return leaves(slice) end
    end
  end
  return leaves(current)
end

local function streams_are_full(k, limit)
  redis.call('ZREMRANGEBYSCORE', KEYS[k + 1], '-inf', now)
  return redis.call('ZCARD', KEYS[k + 1]) >= limit
end

local function check(subjects, tokens, lease)
  local exceeded, longest, who = 0, -1, 0
  local function note(what, ms, place)
    if ms > longest then exceeded, longest, who = what, ms, place end
  end
  for place, s in ipairs(subjects) do
    local w = window(s[1])
    if s[2] >= 0 and w.r + 1 > s[2] then note(1, wait(w, 'r', w.r + 1 - s[2]), place) end
    if s[3] >= 0 then
      local excess = w.t + math.min(tokens, s[3]) - s[3]
      if excess > 0 then note(2, wait(w, 't', excess), place) end
    end
    if lease ~= '' and s[4] >= 0 and streams_are_full(s[1], s[4]) then note(3, 1000, place) end
  end
  return exceeded, longest, who
end

local function count(subjects, tokens, lease)
  for _, s in ipairs(subjects) do
    local w = window(s[1])
    local reserved = s[3] >= 0 and math.min(tokens, s[3]) or 0
    w.r, w.here_r = w.r + 1, w.here_r + 1
    w.t, w.here_t = w.t + reserved, w.here_t + reserved
    w.used, w.is_dirty = current, true
    if lease ~= '' and s[4] >= 0 then
      redis.call('ZADD', KEYS[s[1] + 1], now + lease_ms, lease)
      redis.call('PEXPIRE', KEYS[s[1] + 1], lease_ms * 2)
    end
  end
end

local function take(tokens, lease, subjects)
  local exceeded, longest, who = check(subjects, tokens, lease)
  if exceeded == 0 then count(subjects, tokens, lease) end
  local answer = {exceeded, math.max(0, longest), current, -1, -1, -1, -1, -1, -1, who}
  for _, s in ipairs(subjects) do
    local w = window(s[1])
    for at, pair in pairs({[4] = {s[2], w.r}, [7] = {s[3], w.t}}) do
      local limit, left = pair[1], math.max(0, pair[1] - pair[2])
      if limit >= 0 and (answer[at] < 0 or left < answer[at + 1]) then
        answer[at], answer[at + 1], answer[at + 2] = limit, left, pair[2] > 0 and leaves(w.used) or 0
      end
    end
  end
  return answer
end

local function settle(slice, differences)
  for _, pair in ipairs(differences) do
    local w = window(pair[1])
    if slice == current then
      local came = math.max(0, w.here_t + pair[2])
      w.t, w.here_t, w.is_dirty, w.used = w.t + came - w.here_t, came, true, current
    elseif slice < current and slice >= current - SLICES and slice <= w.used and not w.is_over then
      local field = 't' .. slice % SLOTS
      local was = number(redis.call('HGET', w.key, field))
      local came = math.max(0, was + pair[2])
      redis.call('HSET', w.key, field, came)
      redis.call('HINCRBY', w.key, 't', came - was)
      w.t = w.t + came - was
    end
  end
end

local answers = {}
for i, item in ipairs(items) do
  answers[i] = 0
  if item[1] == 1 then
    answers[i] = take(item[2], item[3], item[4])
  elseif item[1] == 2 then
    settle(item[2], item[3])
  elseif item[1] == 3 then
    for _, k in ipairs(item[3]) do redis.call('ZREM', KEYS[k + 1], item[2]) end
  else
    for _, k in ipairs(item[3]) do
      redis.call('ZADD', KEYS[k + 1], now + lease_ms, item[2])
      redis.call('PEXPIRE', KEYS[k + 1], lease_ms * 2)
    end
  end
end
for _, w in pairs(windows) do
  if w.is_dirty then write(w) end
end
return cmsgpack.pack(answers)
