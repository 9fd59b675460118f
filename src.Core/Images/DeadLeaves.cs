namespace DQ.Core.Images;

/// <summary>
/// Dead leaves: opaque disks that occlude one another, whose radii have density r⁻³, the only density that is the same at all scales. Like
/// photographs, such images have edges, occlusion and a 1/f spectrum (Lee, Mumford &amp; Huang, "Occlusion models for natural images", IJCV
/// 2001). Additions to that model: each image has its own palette, each leaf has shading, its own sharpness and sometimes a texture, and
/// the whole image has a little sensor noise.
/// </summary>
/// <remarks>
/// Image n is a pure function of (seed, n, size): it does not depend on threads or on other images. It depends on the last bits of the
/// system's cosine and square root, so another processor architecture may round single pixels differently.
/// </remarks>
public static class DeadLeaves
{
    /// <summary>Raised whenever the images of a seed change.</summary>
    public const int Version = 1;

    private const int MaximalLeaves = 20_000;
    private const float Covered = 1f / 512; // the visible part of anything behind is less than half a level

    /// <summary>Makes image <paramref name="index"/> of a seed: red, green and blue planes (3, size, size).</summary>
    public static byte[] Generate(long seed, long index, int size)
    {
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(size);
        var random = new SplitMix64(seed, index);
        var palette = new Palette(ref random);
        var color = new float[3 * size * size]; // [0, 1], the color painted so far
        var open = new float[size * size]; // share of each pixel still uncovered
        Array.Fill(open, 1f);
        var uncovered = open.Length;
        // from front to back: covered pixels are final, so a picture is done when all pixels are covered
        for (var leaf = 0; leaf < MaximalLeaves && uncovered > 0; leaf++)
            uncovered -= new Leaf(ref random, size, palette).Paint(color, open, size);

        var bytes = new byte[color.Length];
        for (var i = 0; i < color.Length; i++)
            bytes[i] = (byte)Math.Clamp(Math.Round(255 * color[i] + random.NextNormal()), 0, 255);
        return bytes;
    }

    /// <summary>An image's light: a mean, a contrast, and a few hues around which its leaves vary.</summary>
    private readonly struct Palette
    {
        // Opponent axes: natural colours vary most in luminance, less from blue to yellow, least from green to magenta
        // (Ruderman, Cronin & Chiao 1998). Rows are unit vectors over (R, G, B).
        private const float A = 0.57735f,
            B = 0.70711f,
            C = 0.40825f;
        private const int Hues = 4;

        private readonly float _mean;
        private readonly float _contrast;
        private readonly float[] _yellow = new float[Hues];
        private readonly float[] _green = new float[Hues];

        public Palette(ref SplitMix64 random)
        {
            _mean = 0.45f + 0.12f * (float)random.NextNormal();
            _contrast = 0.12f + 0.14f * (float)random.NextDouble();
            var saturation = 0.4f + 1.2f * (float)random.NextDouble();
            var cast = 0.05f * (float)random.NextNormal();
            for (var hue = 0; hue < Hues; hue++)
            {
                _yellow[hue] = cast + 0.11f * saturation * (float)random.NextNormal();
                _green[hue] = 0.05f * saturation * (float)random.NextNormal();
            }
        }

        public (float Red, float Green, float Blue) Draw(ref SplitMix64 random)
        {
            var hue = random.Next(Hues);
            var light = 1.73205f * (_mean + _contrast * (float)random.NextNormal());
            var yellow = _yellow[hue] + 0.03f * (float)random.NextNormal();
            var green = _green[hue] + 0.015f * (float)random.NextNormal();
            return (A * light + B * yellow - C * green, A * light + 2 * C * green, A * light - B * yellow - C * green);
        }
    }

    /// <summary>One disk, in pixels; it crosses the picture.</summary>
    private readonly struct Leaf
    {
        private readonly float _x,
            _y,
            _radius,
            _softness;
        private readonly (float Red, float Green, float Blue) _color;
        private readonly float _shadeX,
            _shadeY; // change of light per pixel
        private readonly float _waveX,
            _waveY,
            _waveHeight; // a grating: radians per pixel, amplitude

        public Leaf(ref SplitMix64 random, int size, in Palette palette)
        {
            _radius = (float)Radius(ref random, 0.05 * size, 2.0 * size, size);
            _x = (size + 2 * _radius) * (float)random.NextDouble() - _radius;
            _y = (size + 2 * _radius) * (float)random.NextDouble() - _radius;
            _softness = 0.8f + (float)random.NextDouble();
            _color = palette.Draw(ref random);

            var shade = 0.12f * (float)random.NextNormal() / Math.Min(_radius, size);
            var direction = 2 * MathF.PI * (float)random.NextDouble();
            (_shadeX, _shadeY) = (shade * MathF.Cos(direction), shade * MathF.Sin(direction));

            var textured = random.NextDouble() < 0.35;
            var wave = 2 * MathF.PI / (3 + 5 * (float)random.NextDouble());
            direction = 2 * MathF.PI * (float)random.NextDouble();
            (_waveX, _waveY) = (wave * MathF.Cos(direction), wave * MathF.Sin(direction));
            _waveHeight = textured ? 0.06f * (float)random.NextDouble() : 0;
        }

        /// <summary>Paints the uncovered area under the disk; returns the number of pixels that this covers completely.</summary>
        public int Paint(float[] color, float[] open, int size)
        {
            var reach = _radius + _softness / 2;
            var (top, bottom) = (Math.Max(0, (int)(_y - reach)), Math.Min(size - 1, (int)(_y + reach)));
            var (left, right) = (Math.Max(0, (int)(_x - reach)), Math.Min(size - 1, (int)(_x + reach)));
            var closed = 0;
            for (var row = top; row <= bottom; row++)
            for (var column = left; column <= right; column++)
            {
                var pixel = row * size + column;
                if (open[pixel] == 0)
                    continue;
                var (dx, dy) = (column + 0.5f - _x, row + 0.5f - _y);
                // the edge is a ramp `softness` pixels wide: anti-aliasing and focus in one
                var cover = Math.Clamp((_radius - MathF.Sqrt(dx * dx + dy * dy)) / _softness + 0.5f, 0, 1);
                if (cover == 0)
                    continue;
                var light = dx * _shadeX + dy * _shadeY;
                if (_waveHeight > 0)
                    light += _waveHeight * MathF.Cos(dx * _waveX + dy * _waveY);
                var share = open[pixel] * cover;
                open[pixel] -= share;
                if (open[pixel] < Covered)
                {
                    share += open[pixel];
                    open[pixel] = 0;
                    closed++;
                }

                color[pixel] += share * (_color.Red + light);
                color[pixel + size * size] += share * (_color.Green + light);
                color[pixel + 2 * size * size] += share * (_color.Blue + light);
            }

            return closed;
        }

        /// <summary>
        /// Draws a radius among the disks that touch the picture. Disks of density r⁻³ in the plane touch a square of side s with
        /// their bounding box in proportion to (s + 2r)², so the density here is s²r⁻³ + 4s r⁻² + 4r⁻¹: one of three powers is
        /// chosen by its mass between the limits, then inverted.
        /// </summary>
        private static double Radius(ref SplitMix64 random, double least, double most, double size)
        {
            var cubes = size * size / 2 * (1 / (least * least) - 1 / (most * most));
            var squares = 4 * size * (1 / least - 1 / most);
            var inverses = 4 * Math.Log(most / least);
            var choice = random.NextDouble() * (cubes + squares + inverses);
            var u = random.NextDouble();
            if (choice < cubes)
                return 1 / Math.Sqrt(1 / (least * least) - u * (1 / (least * least) - 1 / (most * most)));
            if (choice < cubes + squares)
                return 1 / (1 / least - u * (1 / least - 1 / most));
            return least * Math.Pow(most / least, u);
        }
    }
}
