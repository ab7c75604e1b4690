package main

import (
	"fmt"
	"image/color"
	"os"
	"slices"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgimg"
)

// The size of one chart in a drawing.
const (
	chartWidth  = 14 * vg.Centimeter
	chartHeight = 9 * vg.Centimeter
)

// palette holds the colours of the systems in a chart, the first of them ours.
var palette = []color.Color{
	color.RGBA{R: 0xd6, G: 0x27, B: 0x28, A: 0xff},
	color.RGBA{R: 0x1f, G: 0x77, B: 0xb4, A: 0xff},
	color.RGBA{R: 0x2c, G: 0xa0, B: 0x2c, A: 0xff},
	color.RGBA{R: 0x94, G: 0x67, B: 0xbd, A: 0xff},
}

// draw writes charts of calls per second against callers into a PNG file: a row
// for each workload, a column for each kind of log.
func (r Report) draw(file string) error {
	var charts [][]*plot.Plot
	for _, w := range allWorkloads {
		var row []*plot.Plot
		for _, log := range logKinds {
			speeds := slices.DeleteFunc(r.with(log.durable), func(s Speed) bool { return s.Workload != w.name })
			if len(speeds) == 0 {
				continue
			}
			chart, err := newChart(w.name+" per second, "+log.name, speeds)
			if err != nil {
				return fmt.Errorf("bench: draw: %w", err)
			}
			row = append(row, chart)
		}
		if len(row) > 0 {
			charts = append(charts, row)
		}
	}
	if err := writeCharts(file, charts); err != nil {
		return fmt.Errorf("bench: draw: %w", err)
	}
	return nil
}

// newChart draws a line for each system, on logarithmic scales.
func newChart(title string, speeds []Speed) (*plot.Plot, error) {
	p := plot.New()
	p.Title.Text = title
	p.X.Label.Text = "callers"
	p.X.Scale, p.X.Tick.Marker = plot.LogScale{}, plot.LogTicks{Prec: -1}
	p.Y.Scale, p.Y.Tick.Marker = plot.LogScale{}, plot.LogTicks{Prec: -1}
	p.Legend.Top, p.Legend.Left = true, true
	p.Add(plotter.NewGrid())
	for i, name := range systemsOf(speeds) {
		var points plotter.XYs
		for _, s := range speeds {
			if s.System == name {
				points = append(points, plotter.XY{X: float64(s.Callers), Y: s.median().PerSecond})
			}
		}
		line, dots, err := plotter.NewLinePoints(points)
		if err != nil {
			return nil, err
		}
		line.Color, dots.Color = palette[i%len(palette)], palette[i%len(palette)]
		line.Width, dots.Shape = vg.Points(1.5), draw.CircleGlyph{}
		p.Add(line, dots)
		p.Legend.Add(name, line, dots)
	}
	for _, axis := range []*plot.Axis{&p.X, &p.Y} {
		// A single value would have an axis of no length.
		if axis.Min == axis.Max {
			axis.Min, axis.Max = axis.Min/2, axis.Max*2
		}
	}
	return p, nil
}

func writeCharts(file string, charts [][]*plot.Plot) error {
	columns := 0
	for _, row := range charts {
		columns = max(columns, len(row))
	}
	for i, row := range charts {
		charts[i] = append(row, make([]*plot.Plot, columns-len(row))...)
	}
	tiles := draw.Tiles{Rows: len(charts), Cols: columns, PadX: vg.Centimeter / 2, PadY: vg.Centimeter / 2}
	img := vgimg.New(vg.Length(columns)*chartWidth, vg.Length(len(charts))*chartHeight)
	canvases := plot.Align(charts, tiles, draw.New(img))
	for i, row := range charts {
		for j, chart := range row {
			if chart != nil {
				chart.Draw(canvases[i][j])
			}
		}
	}
	out, err := os.Create(file)
	if err != nil {
		return err
	}
	if _, err := (vgimg.PngCanvas{Canvas: img}).WriteTo(out); err != nil {
		_ = out.Close()
		return err
	}
	return out.Close()
}
