package console

import (
	"fmt"
	"strings"
	"time"
)

// chart is a bar chart over time as the console draws it: an SVG of plain rectangles that the page stretches, with its
// axes and legend as text beside it, and the same numbers as a table.
type chart struct {
	Title, Summary string // Summary is the chart in one sentence, for who can't see it
	Width, Height  float64
	Series         []chartSeries
	Columns        []chartColumn
	Grid           []float64 // heights of the lines of the scale
	Scale          []int64   // what they stand for, from the bottom up
	Lines          []float64 // heights of levels, such as a limit
	Ticks          []chartTick
	TimeColumn     string // head of the table's first column
	Rows           []chartRow
	RowForm        string // how the script writes the times of the rows
}

// Empty tells whether there is nothing to draw: a sentence says so better than an empty plot.
func (c chart) Empty() bool {
	for _, s := range c.Series {
		if s.Sum != 0 {
			return false
		}
	}
	return true
}

// chartSeries is one kind of value, with its sum over all rows.
type chartSeries struct {
	Kind, Name string // Kind is the class of its colour
	Sum        int64
}

// chartColumn is one row, drawn.
type chartColumn struct {
	X, W  float64
	At    time.Time
	Title string // shown on hover
	Said  string // the part of it behind the time
	Bars  []chartBar
}

type chartBar struct {
	Kind       string
	X, Y, W, H float64
}

// chartTick names a time under the chart.
type chartTick struct {
	At         time.Time
	Text, Form string
}

// chartRow are the values of one step of time.
type chartRow struct {
	At     time.Time
	Text   string
	Values []int64
}

// chartKinds are the classes of the values of a row, from the bottom of its bar up.
var chartKinds = []string{"one", "two", "three", "four"}

// The space of a chart, in units of its own: the page stretches it.
const (
	chartWidth  = 720.0
	chartHeight = 160.0
	chartGap    = 0.25 // of a column
	chartSteps  = 4    // of the scale
	chartTicks  = 5
)

// chartForm is how times are written under a chart and in its table, by the time that a row stands for.
func chartForm(step time.Duration) (tick, row, layout string) {
	if step < 6*time.Hour {
		return "clock", "minute", "15:04"
	}
	if step < 24*time.Hour {
		return "day", "minute", "2 Jan"
	}
	return "day", "day", "2 Jan"
}

// newChart stacks the values of each row into one bar. step is the time that a row stands for. levels are drawn as
// lines, and the scale reaches up to them.
func newChart(title, timeColumn string, names []string, rows []chartRow, step time.Duration, levels ...int64) chart {
	c := chart{Title: title, Width: chartWidth, Height: chartHeight, TimeColumn: timeColumn, Rows: rows}
	tick, rowForm, layout := chartForm(step)
	c.RowForm = rowForm
	for i, name := range names {
		c.Series = append(c.Series, chartSeries{Kind: chartKinds[i%len(chartKinds)], Name: name})
	}
	most := int64(1)
	for i, row := range rows {
		var sum int64
		for n, v := range row.Values {
			sum += v
			c.Series[n].Sum += v
		}
		most = max(most, sum)
		rows[i].Text = row.At.UTC().Format("2 Jan, 15:04 UTC")
		if rowForm == "day" {
			rows[i].Text = row.At.UTC().Format("2 Jan 2006")
		}
	}
	for _, l := range levels {
		most = max(most, l)
	}
	unit := scaleUnit(most)
	top := float64(unit * chartSteps)
	for i := range int64(chartSteps + 1) {
		c.Scale = append(c.Scale, i*unit)
		c.Grid = append(c.Grid, chartHeight*(1-float64(i)/chartSteps))
	}
	width := chartWidth / float64(max(len(rows), 1))
	for i, row := range rows {
		c.Columns = append(c.Columns, chartColumnOf(c.Series, row, float64(i)*width, width, top))
	}
	for _, l := range levels {
		c.Lines = append(c.Lines, chartHeight*(1-float64(l)/top))
	}
	if len(rows) > chartTicks {
		for i := range chartTicks {
			at := rows[i*(len(rows)-1)/(chartTicks-1)].At
			c.Ticks = append(c.Ticks, chartTick{At: at, Text: at.UTC().Format(layout), Form: tick})
		}
	}
	return c
}

func chartColumnOf(series []chartSeries, row chartRow, x, width, top float64) chartColumn {
	column := chartColumn{X: x, W: width}
	y := chartHeight
	says := make([]string, 0, len(row.Values))
	for n, v := range row.Values {
		says = append(says, fmt.Sprintf("%s %d", series[n].Name, v))
		if v <= 0 {
			continue
		}
		h := chartHeight * float64(v) / top
		y -= h
		column.Bars = append(column.Bars, chartBar{Kind: series[n].Kind, X: x + width*chartGap/2, Y: y,
			W: width * (1 - chartGap), H: h})
	}
	column.At, column.Said = row.At, ": "+strings.Join(says, ", ")
	column.Title = row.Text + column.Said
	return column
}

// scaleUnit is the step of a scale that people read at once and that reaches up to most.
func scaleUnit(most int64) int64 {
	for ten := int64(1); ; ten *= 10 {
		for _, n := range []int64{1, 2, 5} {
			if n*ten*chartSteps >= most {
				return n * ten
			}
		}
	}
}

// meter shows how much of a limit is used.
type meter struct {
	Label      string
	Used, Line int // thousandths of the limit
}

// newMeter makes one. line is where something begins, 0 for nowhere.
func newMeter(label string, used, line, limit int) meter {
	limit = max(limit, 1)
	if used > 0 {
		used = max(used, limit/200) // so that it is seen
	}
	return meter{Label: label, Used: min(used*1000/limit, 1000), Line: min(line*1000/limit, 1000)}
}
