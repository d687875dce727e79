'use strict';
(() => {
  const root = document.documentElement;
  const data = JSON.parse(document.getElementById('data').textContent);
  const days = ['Mon', 'Tue', 'Wed', 'Thu', 'Fri', 'Sat', 'Sun'];

  // Numbers, as the rest of the page writes them.
  const size = (n) => {
    if (n < 1024) return `${Math.round(n)} B`;
    let unit = -1;
    do { n /= 1024; unit++; } while (n >= 1023.95 && unit < 5);
    return `${n.toFixed(1)} ${['KiB', 'MiB', 'GiB', 'TiB', 'PiB', 'EiB'][unit]}`;
  };
  const tick = (n) => size(n).replace('.0 ', ' ');
  const count = (n) => n.toLocaleString('en');
  const shortened = (text = '', most = 60) => (text.length > most ? `${[...text].slice(0, most - 1).join('')}…` : text);

  // A scale of bytes has round steps of 1024s, and not of tens.
  const step = (most) => {
    let unit = 1;
    while (most / unit > 6) unit *= 2;
    return unit;
  };

  // Colours are the style's, so that light, dark and paper have one place.
  const color = (name) => getComputedStyle(root).getPropertyValue(`--${name}`).trim();

  const tooltip = (extra) => ({
    renderMode: 'richText', confine: true, backgroundColor: color('panel'), borderColor: color('line'),
    textStyle: { color: color('text'), fontSize: 12 }, ...extra,
  });
  const axis = (extra) => ({
    axisLine: { lineStyle: { color: color('line') } }, axisTick: { show: false },
    axisLabel: { color: color('soft'), hideOverlap: true }, splitLine: { lineStyle: { color: color('line') } },
    nameTextStyle: { color: color('soft') }, ...extra,
  });
  const legend = (names) => ({ data: names, top: 0, right: 0, itemWidth: 14, itemHeight: 10, textStyle: { color: color('text') } });

  const dayNumber = (text) => Date.parse(`${text}T00:00:00Z`) / 864e5;
  const dayText = (n) => new Date(n * 864e5).toISOString().slice(0, 10);
  const dayLines = (d) => [d.day, `in ${size(d.in)}`, `out ${size(d.out)}`, `${count(d.count)} entries, ${count(d.incomplete)} incomplete`].join('\n');

  // Days on which nothing happened are in no table, and yet are days. Of a log whose
  // clock was wrong there may be too many.
  const everyDay = () => {
    const known = new Map(data.days.map((d) => [d.day, d]));
    const [first, last] = [data.days[0], data.days.at(-1)].map((d) => dayNumber(d.day));
    if (!(last - first < 7400)) return data.days;
    return Array.from({ length: last - first + 1 }, (_, i) => {
      const day = dayText(first + i);
      return known.get(day) ?? { day, in: 0, out: 0, count: 0, incomplete: 0 };
    });
  };

  const drawDays = (box) => {
    const list = everyDay();
    const most = Math.max(...list.map((d) => d.in + d.out), 1);
    const slider = list.length > 45;
    const bars = (name, key, top) => ({
      name, type: 'bar', stack: 'bytes', data: list.map((d) => d[key]), itemStyle: { color: color(key) }, barMaxWidth: 28, barCategoryGap: '18%', z: top,
    });
    return {
      legend: legend(['in', 'out']),
      tooltip: tooltip({ trigger: 'axis', axisPointer: { type: 'shadow' }, formatter: (at) => dayLines(list[at[0].dataIndex]) }),
      grid: { left: 8, right: 34, top: 34, bottom: slider ? 52 : 4, containLabel: true },
      xAxis: axis({ type: 'category', data: list.map((d) => d.day), axisLabel: { color: color('soft'), hideOverlap: true, formatter: (day) => (box.clientWidth < 700 ? day.slice(5) : day) } }),
      yAxis: axis({ type: 'value', interval: step(most), max: Math.ceil(most / step(most)) * step(most), axisLine: { show: false }, axisLabel: { color: color('soft'), formatter: tick } }),
      dataZoom: slider ? [
        { type: 'inside', zoomOnMouseWheel: 'ctrl', moveOnMouseWheel: false, moveOnMouseMove: false, preventDefaultMouseMove: false },
        {
          type: 'slider', height: 26, bottom: 8, left: 60, right: 60, showDetail: false, brushSelect: false, borderColor: color('line'), fillerColor: 'rgba(90,150,220,.2)',
          dataBackground: { lineStyle: { color: color('warm') }, areaStyle: { color: color('cold') } }, handleStyle: { color: color('panel'), borderColor: color('soft') },
          selectedDataBackground: { lineStyle: { color: color('in') }, areaStyle: { color: color('warm') } },
        },
      ] : [],
      series: [bars('in', 'in', 2), bars('out', 'out', 2)],
    };
  };

  const heatMap = (most) => ({ show: false, min: 0, max: Math.max(most, 1), inRange: { color: [color('cold'), color('warm'), color('hot')] } });

  // A calendar has a row of weeks for so many months as there is room for.
  const drawCalendar = (box) => {
    const [first, last] = [data.days[0], data.days.at(-1)].map((d) => d.day);
    const room = box.clientWidth - 56;
    const months = Math.max(Math.min(Math.floor(room / 11 / 4.5), 12), 3);
    const ranges = [];
    let [year, month] = [Number(first.slice(0, 4)), Number(first.slice(5, 7)) - 1];
    const end = dayNumber(last);
    while (Date.UTC(year, month, 1) / 864e5 <= end && ranges.length < 12) {
      const from = Date.UTC(year, month, 1) / 864e5;
      month += months;
      ranges.push([from, Math.min(Date.UTC(year, month, 1) / 864e5 - 1, end)]);
      year += Math.floor(month / 12);
      month %= 12;
    }
    const weeks = Math.max(...ranges.map(([a, b]) => Math.ceil((b - a + 1) / 7) + 1));
    const cell = Math.max(Math.min(Math.floor(room / weeks), 30), 9);
    const height = cell * 7 + 42;
    box.style.height = `${height * ranges.length + 4}px`;
    const label = { color: color('soft') };
    return {
      tooltip: tooltip({ formatter: (at) => dayLines(data.days.find((d) => d.day === at.value[0])) }),
      visualMap: heatMap(Math.max(...data.days.map((d) => d.in + d.out))),
      calendar: ranges.map(([a, b], i) => ({
        range: [dayText(a), dayText(b)], top: height * i + 28, left: 46, cellSize: [cell, cell], splitLine: { lineStyle: { color: color('soft'), width: 1 } },
        itemStyle: { color: color('panel'), borderColor: color('line'), borderWidth: 1 }, yearLabel: { show: false },
        dayLabel: { firstDay: 1, ...label, nameMap: ['Sun', '', 'Tue', '', 'Thu', '', 'Sat'] },
        monthLabel: { ...label, formatter: ({ nameMap, yyyy, M }) => (Number(M) === 1 || dayText(a).slice(0, 7) === `${yyyy}-${String(M).padStart(2, '0')}` ? `${nameMap} ${yyyy}` : nameMap) },
      })),
      series: ranges.map(([a, b], i) => ({
        type: 'heatmap', coordinateSystem: 'calendar', calendarIndex: i,
        data: data.days.filter((d) => dayNumber(d.day) >= a && dayNumber(d.day) <= b).map((d) => [d.day, d.in + d.out]),
      })),
    };
  };

  const drawHeat = () => {
    const cells = data.heat.flatMap((hours, day) => hours.map(([n, bytes], hour) => [hour, day, n, bytes]));
    return {
      tooltip: tooltip({ formatter: ({ value: [hour, day, n, bytes] }) => `${days[day]} ${String(hour).padStart(2, '0')}:00\n${count(n)} entries\n${size(bytes)}` }),
      grid: { left: 4, right: 8, top: 4, bottom: 4, containLabel: true },
      xAxis: axis({ type: 'category', data: Array.from({ length: 24 }, (_, h) => String(h).padStart(2, '0')), splitLine: { show: false } }),
      yAxis: axis({ type: 'category', data: days, inverse: true, splitLine: { show: false } }),
      visualMap: { ...heatMap(Math.max(...cells.map((c) => c[2]))), dimension: 2 },
      series: [{ type: 'heatmap', data: cells, itemStyle: { borderColor: color('panel'), borderWidth: 2, borderRadius: 3 } }],
    };
  };

  const drawDirectories = () => ({
    tooltip: tooltip({ formatter: ({ data: d }) => [shortened(d.name, 80), size(d.value), `in ${size(d.in)}`, `out ${size(d.out)}`, `${count(d.count)} entries`].join('\n') }),
    series: [{
      type: 'treemap', left: 0, right: 0, top: 0, bottom: 0, roam: false, nodeClick: false, breadcrumb: { show: false },
      label: { color: '#fff', formatter: ({ data: d }) => `${shortened(d.name, 60)}\n${size(d.value)}`, lineHeight: 16, overflow: 'truncate', textBorderWidth: 0 },
      itemStyle: { borderColor: color('panel'), borderWidth: 2, gapWidth: 1 },
      data: data.directories.map((d, i) => ({ ...d, itemStyle: { color: ['#1f5fa8', '#2b6f8f', '#2c7a63', '#5d6f2b', '#8a5a16', '#96483a', '#8a3d66', '#66509a', '#475f86', '#56616d'][i % 10] } })),
    }],
  });

  // Percentiles are between the bars of classes, on a second axis of numbers. Their
  // labels are below each other.
  const drawSpread = (spread) => ({
    tooltip: tooltip({ trigger: 'axis', axisPointer: { type: 'shadow' }, formatter: (at) => {
      const c = spread.classes[at[0].dataIndex];
      return `${c.label}\n${count(c.count)} ${spread.unit}${c.bytes ? `\n${size(c.bytes)}` : ''}`;
    } }),
    grid: { left: 8, right: 16, top: 14 * spread.marks.length + 12, bottom: 4, containLabel: true },
    xAxis: [
      axis({ type: 'category', data: spread.classes.map((c) => c.label) }),
      { type: 'value', show: false, min: 0, max: spread.classes.length },
    ],
    yAxis: axis({ type: 'value', minInterval: 1, axisLine: { show: false }, axisLabel: { color: color('soft'), formatter: count } }),
    series: [
      { type: 'bar', data: spread.classes.map((c) => c.count), itemStyle: { color: color('in') }, barCategoryGap: '12%' },
      {
        type: 'line', xAxisIndex: 1, data: [], silent: true,
        markLine: {
          symbol: 'none', silent: true, animation: false, lineStyle: { color: color('mark'), type: 'dashed', width: 1 },
          data: spread.marks.map((m, i) => ({
            xAxis: m.at, label: {
              formatter: `${m.name} ${m.value}`, color: color('text'), fontSize: 11, distance: [0, 4 + 14 * (spread.marks.length - 1 - i)],
              align: m.at > spread.classes.length * 0.75 ? 'right' : m.at < spread.classes.length * 0.25 ? 'left' : 'center',
            },
          })),
        },
      },
    ],
  });

  const drawCrowd = () => {
    const { points } = data.crowd;
    const line = (name, at, extra) => ({ name, type: 'line', showSymbol: false, data: points.map((p) => [p[0], p[at]]), lineStyle: { width: 1.5 }, ...extra });
    return {
      useUTC: true,
      legend: legend(['most', 'mean']),
      tooltip: tooltip({ trigger: 'axis', formatter: (at) => {
        const p = points[at[0].dataIndex];
        return `${new Date(p[0]).toISOString().slice(0, 16).replace('T', ' ')}\nmost ${count(p[1])}\nmean ${p[2].toFixed(2)}`;
      } }),
      grid: { left: 8, right: 16, top: 34, bottom: 4, containLabel: true },
      xAxis: axis({ type: 'time', splitLine: { show: false }, axisLabel: { color: color('soft'), hideOverlap: true, formatter: { year: '{yyyy}', month: '{MMM} {yyyy}', day: '{d} {MMM}' } } }),
      yAxis: axis({ type: 'value', minInterval: 1, axisLine: { show: false } }),
      series: [
        line('most', 1, { step: 'end', color: color('in'), areaStyle: { color: color('in'), opacity: 0.15 } }),
        line('mean', 2, { color: color('out') }),
      ],
    };
  };

  const drawings = {
    days: drawDays, calendar: drawCalendar, heat: drawHeat, directories: drawDirectories, crowd: drawCrowd,
    sizes: () => drawSpread(data.sizes), rates: () => drawSpread(data.rates), lengths: () => drawSpread(data.lengths),
  };
  const boxes = [...document.querySelectorAll('.chart')];
  const drawn = new Map();
  const draw = (width) => {
    for (const box of boxes) {
      box.style.display = 'block';
      box.style.width = width ? `${width}px` : '';
      const option = drawings[box.dataset.chart](box);
      drawn.get(box)?.dispose();
      drawn.set(box, globalThis.echarts.init(box, null, { renderer: 'svg' }));
      drawn.get(box).setOption({ animation: false, textStyle: { fontFamily: getComputedStyle(document.body).fontFamily }, ...option });
    }
  };

  // Tables: sorted by a click on a heading, filtered, and shown in part.
  const few = 10;
  const value = (row, i) => row.cells[i].dataset.sort ?? row.cells[i].textContent;
  const compare = (a, b) => {
    const [x, y] = [Number(a), Number(b)];
    if (a !== '' && b !== '' && !Number.isNaN(x) && !Number.isNaN(y)) return x - y;
    return a.localeCompare(b, undefined, { numeric: true });
  };
  const enhance = (table) => {
    const body = table.tBodies[0];
    const rows = [...body.rows];
    let all = rows.length <= few + 2;
    let wanted = '';
    const tools = document.createElement('div');
    tools.className = 'tools';
    const more = document.createElement('button');
    more.type = 'button';
    const status = document.createElement('span');
    status.setAttribute('role', 'status');
    const show = () => {
      let shown = 0;
      for (const row of body.rows) {
        const match = wanted === '' || row.textContent.toLowerCase().includes(wanted);
        row.classList.toggle('unmatched', !match);
        row.classList.toggle('rest', !match || (!all && shown >= few));
        if (match) shown++;
      }
      more.hidden = rows.length <= few + 2;
      more.textContent = all ? `Show the first ${few}` : `Show all ${count(shown)}`;
      more.disabled = shown <= few && !all;
      status.textContent = wanted === '' ? '' : `${count(shown)} of ${count(rows.length)} rows`;
    };
    more.addEventListener('click', () => { all = !all; show(); });
    if (rows.length > few) {
      const filter = document.createElement('input');
      filter.type = 'search';
      filter.placeholder = 'Filter';
      filter.setAttribute('aria-label', `Filter ${table.caption.textContent}`);
      filter.addEventListener('input', () => { wanted = filter.value.trim().toLowerCase(); show(); });
      tools.append(filter, more, status);
      table.closest('.scroll').before(tools);
    }
    [...table.tHead.rows[0].cells].forEach((head, i) => {
      const button = document.createElement('button');
      button.type = 'button';
      button.append(...head.childNodes);
      head.append(button);
      button.addEventListener('click', () => {
        const numbers = head.classList.contains('number');
        const down = head.ariaSort ? head.ariaSort === 'ascending' : numbers;
        for (const other of table.tHead.rows[0].cells) other.removeAttribute('aria-sort');
        head.setAttribute('aria-sort', down ? 'descending' : 'ascending');
        rows.sort((a, b) => compare(value(a, i), value(b, i)) * (down ? -1 : 1));
        body.append(...rows);
        show();
      });
    });
    show();
  };
  document.querySelectorAll('table').forEach(enhance);

  // Of many findings the first are shown.
  document.querySelectorAll('.findings').forEach((list) => {
    const rest = [...list.children].slice(few);
    if (rest.length < 3) return;
    const more = document.createElement('button');
    more.type = 'button';
    const show = (all) => {
      rest.forEach((item) => item.classList.toggle('rest', !all));
      more.textContent = all ? `Show the first ${few}` : `Show all ${list.children.length}`;
      more.setAttribute('aria-expanded', String(all));
    };
    more.addEventListener('click', () => show(more.getAttribute('aria-expanded') !== 'true'));
    show(false);
    list.after(more);
  });

  // Light or dark is the system's until somebody says otherwise.
  const dark = matchMedia('(prefers-color-scheme: dark)');
  const button = document.getElementById('theme');
  const isDark = () => (root.dataset.theme ?? (dark.matches ? 'dark' : 'light')) === 'dark';
  const themed = () => {
    button.textContent = isDark() ? 'Light' : 'Dark';
    draw();
  };
  button.hidden = false;
  button.addEventListener('click', () => { root.dataset.theme = isDark() ? 'light' : 'dark'; themed(); });
  dark.addEventListener('change', themed);

  // Paper is light, as wide as A4 between its margins, and has all that is folded.
  let before = null;
  addEventListener('beforeprint', () => {
    if (before) return;
    before = { theme: root.dataset.theme, closed: [...document.querySelectorAll('details:not([open])')] };
    root.dataset.theme = 'light';
    before.closed.forEach((d) => { d.open = true; });
    draw(660);
  });
  addEventListener('afterprint', () => {
    if (!before) return;
    before.closed.forEach((d) => { d.open = false; });
    if (before.theme) root.dataset.theme = before.theme; else delete root.dataset.theme;
    before = null;
    draw();
  });

  let width = window.innerWidth;
  addEventListener('resize', () => {
    if (!before && width !== window.innerWidth) {
      width = window.innerWidth;
      draw();
    }
  });
  themed();
})();
